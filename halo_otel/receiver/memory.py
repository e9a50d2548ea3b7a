"""Refuses before the kernel kills, as the Collector's memory_limiter does.

                 free │▒▒▒▒▒▒▒▒▒ used ▒▒▒▒▒▒▒▒▒│  spike  │
    resumed ──────────────────────────┘  ▲     ▲         ▲
    new requests are refused ────────────┼─────┘         │
    and those that have not come to their end ───────────┘

What is used is looked at in two ways, and the worse one counts: the memory of our own processes against
`memory_limiter`, and that of the whole container against the same share of its limit.
"""

import ctypes
import gc
import logging
from collections.abc import Callable, Iterable
from typing import Final

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.config import machine
from halo_otel.config.limiter import MemoryLimiter
from halo_otel.errors import Overloaded
from halo_otel.selfobs import Counters

logger = logging.getLogger(__name__)

# Of the limit; so that what is freed for a moment does not open the door for a moment.
_HYSTERESIS: Final = 0.05
# Freed memory goes back to the system when it is asked for; that walks the heap, so not at every look.
_TRIM_NS: Final = NS_PER_S


class Memory:
    """How much memory is left; belongs to one event loop.

    `used_bytes` is that of all processes of the service. `on_critical` is called at each look above the limit.
    """

    def __init__(
        self,
        config: MemoryLimiter,
        counters: Counters,
        clock: Clock,
        used_bytes: Callable[[], int],
        container: machine.Cgroup | None = None,
    ) -> None:
        self._config = config
        self._counters = counters
        self._clock = clock
        self._limits = [(used_bytes, config.limit_bytes)]
        if container is not None:
            most = container.limit_bytes * config.limit_percentage // 100
            self._limits.append((container.used_bytes, most))
        self._soft = 1 - config.spike_limit_percentage / 100
        self._looked_ns: int | None = None
        self._trimmed_ns: int | None = None
        self._refusing: str | None = None
        self._free_bytes = 0  # below the soft limit
        self.on_critical: Callable[[], None] = lambda: None
        self.critical = False

    @property
    def refusing(self) -> str | None:
        """Why requests are refused; None while they are not."""
        return self._refusing

    async def run(self) -> None:
        """Look at the memory again and again, for ever."""
        while True:
            self._look(self._clock.now_ns())
            await self._clock.sleep(self._config.check_interval)

    def check(self, expected_bytes: int = 0) -> None:
        """Raise Overloaded if there is too little memory for another request.

        `expected_bytes` are those that requests under way may still take.
        """
        now_ns = self._clock.now_ns()
        interval_ns = round(self._config.check_interval * NS_PER_S)
        if self._looked_ns is None or not 0 <= now_ns - self._looked_ns < interval_ns:
            self._look(now_ns)
        if self._refusing is not None:
            raise Overloaded(f"{self._refusing}: send the request again", "memory")
        if expected_bytes > self._free_bytes:
            raise Overloaded(
                f"requests under way may take the {self._free_bytes >> 20} MiB of memory that are left: send the"
                " request again",
                "memory",
            )

    def _look(self, now_ns: int) -> None:
        self._looked_ns = now_ns
        read = [(used_bytes(), most) for used_bytes, most in self._limits]
        used, most = max(read, key=lambda pair: pair[0] / pair[1])
        self._counters.set("halo.receiver.memory_bytes", read[0][0])
        self.critical = used >= most
        self._free_bytes = min(round(most * self._soft) - used for used, most in read)
        bound = self._soft - (0 if self._refusing is None else _HYSTERESIS)
        if used / most < bound:
            if self._refusing is not None:
                logger.info("there is memory again: requests are taken")
            self._refusing = None
            return
        if self._refusing is None:
            logger.warning(
                "%s: requests are refused until there is more (memory_limiter)", _told(used, most)
            )
        self._refusing = _told(used, most)
        self._trim(now_ns)
        if self.critical:
            self.on_critical()

    def _trim(self, now_ns: int) -> None:
        """Give back what is free in this process; else it would count as used for good."""
        if self._trimmed_ns is None or not 0 <= now_ns - self._trimmed_ns < _TRIM_NS:
            self._trimmed_ns = now_ns
            trim()


def trim() -> None:
    """Give freed memory of this process back to the system (malloc_trim(3), where there is glibc)."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def used_by(pids: Iterable[int]) -> int:
    """The memory of this process and of those."""
    return machine.rss_bytes() + sum(map(machine.rss_bytes, pids))


def _told(used_bytes: int, most_bytes: int) -> str:
    return f"{used_bytes >> 20} MiB of {most_bytes >> 20} MiB of memory are in use"
