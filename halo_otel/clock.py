"""The one source of time.

Time is an `int` of Unix nanoseconds and reaches every room through a `Clock`; tests move a
`ManualClock` instead of sleeping.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What a room may ask about time."""

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is told to move; `sleep` returns at once after moving it."""

    def __init__(self, now_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, seconds: float) -> None:
        self._now_ns += round(seconds * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


def rfc3339(time_ns: int) -> str:
    """`time_ns` as RFC 3339 in UTC with millisecond resolution, e.g. `2026-11-21T02:05:00.000Z`."""
    moment = datetime.fromtimestamp(time_ns // NS_PER_S, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % NS_PER_S // NS_PER_MS:03d}Z"
