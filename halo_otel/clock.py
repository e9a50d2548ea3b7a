"""The one source of time.

Time is an `int` of Unix nanoseconds and reaches every room through a `Clock`; tests move a
`ManualClock` instead of sleeping.

There are two times. The wall's (`now_ns`) may be set at any moment, forth or back; people are told of it.
The time of arrivals (`arrival_ns`) orders what comes in, ends windows and deletes them; it follows the wall's
and never leaps back.
"""

import asyncio
import time
from datetime import UTC, datetime
from threading import Lock
from typing import Final, Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
# NTP steps a clock that is wrong by more than 0.128 s and gives up beyond 1,000 s (RFC 5905, 11.3), so who
# leaps further than this was set by hand, or is wrong.
LEAP_NS: Final = 60 * NS_PER_S
# Time for somebody to notice and to set it right.
BELIEVED_NS: Final = 3600 * NS_PER_S


class Clock(Protocol):
    """What a room may ask about time. Every method may be called from any thread."""

    def now_ns(self) -> int:
        """Unix time in nanoseconds: the machine's, as it is now."""
        ...

    def arrival_ns(self) -> int:
        """The time of arrivals, Unix nanoseconds; see `Following`."""
        ...

    def reach(self, arrival_ns: int) -> None:
        """Let the time of arrivals be no earlier than this, which was it before or elsewhere."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class Following:
    """A time that follows the wall's and leaps with it only where that does no harm.

    - While it is ahead, for the wall's was set back, it goes half as fast until the wall's has come up.
    - A leap ahead of more than `LEAP_NS` it takes part in after `BELIEVED_NS`; before, it goes on as if
      there had been none.
    - Else it is the wall's.

    So it never goes back, passes at least half as fast as time does, and is ahead of the wall's by no more than
    the wall's was set back. It has to be asked every few seconds to know what became of the wall's.
    """

    def __init__(self, begin_ns: int, ticks_ns: int) -> None:
        """It is `begin_ns` at `ticks_ns` of a clock that nobody sets."""
        self._lock = Lock()
        self._now_ns = begin_ns
        self._ticks_ns = ticks_ns  # when it was asked for last
        self._leapt_ns: int | None = None  # since when the wall's is far ahead

    def at(self, wall_ns: int, ticks_ns: int) -> int:
        """The time at `ticks_ns`, when the wall's is `wall_ns`."""
        with self._lock:
            # Threads that ask at once may come in another order than they read the clocks.
            passed_ns = max(0, ticks_ns - self._ticks_ns)
            self._ticks_ns += passed_ns
            if wall_ns <= self._now_ns + passed_ns + LEAP_NS:
                self._leapt_ns = None
                self._now_ns = max(wall_ns, self._now_ns + passed_ns // 2)
                return self._now_ns
            if self._leapt_ns is None:
                self._leapt_ns = self._ticks_ns
            believed = self._ticks_ns - self._leapt_ns >= BELIEVED_NS
            self._now_ns = wall_ns if believed else self._now_ns + passed_ns
            return self._now_ns

    def reach(self, now_ns: int) -> None:
        """Be no earlier than `now_ns`."""
        with self._lock:
            self._now_ns = max(self._now_ns, now_ns)


class SystemClock:
    """The machine's clock."""

    def __init__(self, arrival_ns: int | None = None) -> None:
        """`arrival_ns`: the time of arrivals, where another process has one; else the machine's."""
        begin_ns = self.now_ns() if arrival_ns is None else arrival_ns
        self._following = Following(begin_ns, _ticks_ns())

    def now_ns(self) -> int:
        return time.time_ns()

    def arrival_ns(self) -> int:
        return self._following.at(self.now_ns(), _ticks_ns())

    def reach(self, arrival_ns: int) -> None:
        self._following.reach(arrival_ns)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is told to move; `sleep` returns at once after moving it."""

    def __init__(self, now_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = now_ns
        self._ticks_ns = 0
        self._following = Following(now_ns, 0)

    def now_ns(self) -> int:
        return self._now_ns

    def arrival_ns(self) -> int:
        return self._following.at(self._now_ns, self._ticks_ns)

    def reach(self, arrival_ns: int) -> None:
        self._following.reach(arrival_ns)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.arrival_ns()
        self._now_ns += round(seconds * NS_PER_S)
        self._ticks_ns += round(seconds * NS_PER_S)

    def leap(self, seconds: float) -> None:
        """Set it forth or back."""
        self.arrival_ns()
        self._now_ns += round(seconds * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


def _ticks_ns() -> int:
    """A clock that nobody sets; it goes on while the machine sleeps where the system has such a one."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def offset_ns(clock: Clock) -> int:
    """How far the time of arrivals is ahead of the wall's."""
    return clock.arrival_ns() - clock.now_ns()


def rfc3339(time_ns: int) -> str:
    """`time_ns` as RFC 3339 in UTC with millisecond resolution, e.g. `2026-11-21T02:05:00.000Z`."""
    moment = datetime.fromtimestamp(time_ns // NS_PER_S, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % NS_PER_S // NS_PER_MS:03d}Z"
