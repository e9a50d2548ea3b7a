"""What the processes take while they are soaked: memory, open files, CPU, bytes of journal."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Final

from tests.soak.rig import Rig

EVERY_S: Final = 1.0
# Neighbouring readings say the same; means of so many are taken for independent.
BLOCK: Final = 10
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Life:
    """One process from its first to its last reading."""

    role: str
    at_s: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    cpu_s: float = 0.0

    def read(self, pid: int, at_s: float) -> None:
        """One reading of proc(5); raises OSError when the process is gone."""
        proc = Path(f"/proc/{pid}")
        status = (proc / "status").read_text(encoding="utf-8")
        resident = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        if not resident:
            return  # a zombie
        fields = (proc / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        self.cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
        self.files.append(len(list((proc / "fd").iterdir())))
        self.rss_mib.append(int(resident[0].split()[1]) / 1024)
        self.at_s.append(at_s)


class Watch(threading.Thread):
    """Reads everything once a second until `end`."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(daemon=True)
        self._rig = rig
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._lives: dict[int, Life] = {}
        self.journal_bytes = 0  # the most that was waiting, as the service tells
        self.journal_disk_bytes = 0  # the most that its files took
        self.alongside: list[Callable[[], None]] = []

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def run(self) -> None:
        while not self._ended.wait(EVERY_S):
            for role, pid in self._rig.processes().items():
                try:
                    self._lives.setdefault(pid, Life(role)).read(pid, self.elapsed_s)
                except OSError:
                    continue  # it has just ended
            told = int(self._rig.service.metric("halo_journal_bytes"))
            self.journal_bytes = max(self.journal_bytes, told)
            taken = sum(_size(path) for path in (self._rig.service.storage / "journal").glob("*"))
            self.journal_disk_bytes = max(self.journal_disk_bytes, taken)
            for act in self.alongside:
                act()

    def end(self) -> None:
        """Also when it never began."""
        self._ended.set()
        if self.is_alive():
            self.join()

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds by role, all lives together."""
        spent: dict[str, float] = {}
        for life in self._lives.values():
            spent[life.role] = spent.get(life.role, 0.0) + life.cpu_s
        return spent

    def last(self, role: str, since_s: float, until_s: float) -> Life:
        """The last process of `role`, its readings between the two moments."""
        life = [life for life in self._lives.values() if life.role == role][-1]
        kept = [n for n, at_s in enumerate(life.at_s) if since_s <= at_s <= until_s]
        return Life(
            role=role,
            at_s=[life.at_s[n] for n in kept],
            rss_mib=[life.rss_mib[n] for n in kept],
            files=[life.files[n] for n in kept],
        )


def slope(life: Life) -> tuple[float, float]:
    """Least squares through the means of blocks of memory readings: MiB per hour, and the standard error."""
    blocks = range(0, len(life.at_s) - BLOCK + 1, BLOCK)
    xs = [sum(life.at_s[n : n + BLOCK]) / BLOCK / 3600 for n in blocks]
    ys = [sum(life.rss_mib[n : n + BLOCK]) / BLOCK for n in blocks]
    if len(xs) < 3:
        return 0.0, float("inf")
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    rise = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum((y - y_mean - rise * (x - x_mean)) ** 2 for x, y in zip(xs, ys, strict=True))
    return rise, sqrt(rest / (len(xs) - 2) / spread)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # a segment that was trimmed meanwhile
