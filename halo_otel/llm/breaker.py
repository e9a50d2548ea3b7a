"""Stops asking an endpoint that does not answer, so that nobody waits for it again and again."""

from typing import Final

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.errors import Unreachable

FAILURES_MAX: Final = 5  # in a row: one request with the default number of retries
COOL_S: Final = 60.0


class Breaker:
    """Opens after `FAILURES_MAX` failures in a row; then lets one request through every `COOL_S` until one
    succeeds (M. Nygard, "Release It!", circuit breaker)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until_ns = 0

    def enter(self) -> None:
        """Before a request. Raises Unreachable while open."""
        if self._failures < FAILURES_MAX:
            return
        now_ns = self._clock.now_ns()
        if now_ns < self._open_until_ns:
            left_s = (self._open_until_ns - now_ns) / NS_PER_S
            raise Unreachable(
                f"llm.base_url: {self._failures} requests in a row failed: not asked for {left_s:.0f} s"
            )
        self._open_until_ns = now_ns + round(COOL_S * NS_PER_S)

    def note(self, happened: str) -> None:
        """How a request ended: as the kind of a fault, or as anything else for an answer."""
        if happened == "busy":  # it is there, and says when to come back
            return
        if happened not in ("down", "broken"):
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._open_until_ns = self._clock.now_ns() + round(COOL_S * NS_PER_S)
