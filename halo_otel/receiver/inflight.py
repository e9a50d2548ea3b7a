"""How many requests, and how many bytes of them, are in memory at once, over all transports."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from halo_otel.errors import Overloaded


class InFlight:
    """The sums over all requests that are held now; belongs to one event loop."""

    def __init__(self, max_bytes: int, max_requests: int) -> None:
        self.max_bytes = max_bytes
        self.max_requests = max_requests
        self.held_bytes = 0
        self.requests = 0
        self._awaited: set[asyncio.Timeout] = set()

    def let_go(self) -> None:
        """End the wait for every request that has not come to its end."""
        now_s = asyncio.get_running_loop().time()
        for awaited in self._awaited:
            if not awaited.expired():
                awaited.reschedule(now_s)

    @contextmanager
    def awaiting(self, deadline: asyncio.Timeout) -> Iterator[None]:
        """While a request comes, `deadline` may be drawn nearer."""
        self._awaited.add(deadline)
        try:
            yield
        finally:
            self._awaited.discard(deadline)


class Held:
    """One request and its bytes, given back when its `with` block is left."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._bytes = 0

    def grow(self, size_bytes: int) -> None:
        """Hold `size_bytes` more. Raises Overloaded above `receivers.otlp.max_in_flight_bytes`.

        A request that is alone is always admitted: to refuse it as retryable would be for ever.
        """
        in_flight = self._in_flight
        others_bytes = in_flight.held_bytes - self._bytes
        if others_bytes and in_flight.held_bytes + size_bytes > in_flight.max_bytes:
            raise Overloaded(
                f"{others_bytes} request bytes are in flight; receivers.otlp.max_in_flight_bytes is "
                f"{in_flight.max_bytes}: send the request again",
                "in_flight_bytes",
            )
        self._bytes += size_bytes
        in_flight.held_bytes += size_bytes

    def __enter__(self) -> "Held":
        in_flight = self._in_flight
        if in_flight.requests >= in_flight.max_requests:
            raise Overloaded(
                f"{in_flight.requests} requests are open; receivers.otlp.max_concurrent_requests allows"
                " no more: send the request again",
                "concurrent_requests",
            )
        in_flight.requests += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._in_flight.requests -= 1
        self._in_flight.held_bytes -= self._bytes
        self._bytes = 0
