"""How many request bytes are in memory at once, over all transports."""

from types import TracebackType

from halo_otel.errors import Overloaded


class InFlight:
    """The sum over all requests that are held now; belongs to one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0


class Held:
    """The bytes of one request, given back when its `with` block is left."""

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
                f"{in_flight.max_bytes}: send the request again"
            )
        self._bytes += size_bytes
        in_flight.held_bytes += size_bytes

    def __enter__(self) -> "Held":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._in_flight.held_bytes -= self._bytes
        self._bytes = 0
