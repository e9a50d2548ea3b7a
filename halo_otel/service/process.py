"""What one of our processes takes of the machine."""

import os
from pathlib import Path
from typing import Final

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.selfobs import Counters

# Linux (proc(5)); elsewhere what would need it is not told.
_PROC: Final = Path("/proc/self")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Process:
    """Measures the process it is made in, into `counters`."""

    def __init__(self, name: str, clock: Clock, counters: Counters) -> None:
        self._name = name
        self._counters = counters
        self._cpu_s = 0.0
        self._set("start_time_seconds", clock.now_ns() / NS_PER_S)

    def measure(self) -> None:
        """Blocks for as long as a directory takes of all open files."""
        used = os.times()
        cpu_s = used.user + used.system
        self._counters.add("halo.process.cpu_seconds", cpu_s - self._cpu_s, process=self._name)
        self._cpu_s = cpu_s
        if _PROC.exists():
            pages = (_PROC / "statm").read_text("ascii").split()[1]
            self._set("resident_memory_bytes", int(pages) * _PAGE_BYTES)
            self._set("open_fds", len(os.listdir(_PROC / "fd")))

    def _set(self, name: str, value: float) -> None:
        self._counters.set(f"halo.process.{name}", value, process=self._name)
