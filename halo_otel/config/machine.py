"""How much memory there is and how much is used, as Linux tells it; elsewhere nothing is known.

A container's memory is that of its cgroup, in version 2 (kernel: cgroup-v2.rst, `memory.max`) or 1
(`memory.limit_in_bytes`). What a cgroup uses is what a kubelet counts: all but the pages of files that
the kernel would give back at once (`inactive_file`).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOUNT: Final = Path("/sys/fs/cgroup")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_UNLIMITED: Final = 1 << 60  # version 1 says 2^63 less a page for no limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroup:
    """A cgroup that limits memory."""

    limit_bytes: int
    usage: Path
    stat: Path
    inactive: str

    def used_bytes(self) -> int:
        """What counts against the limit and is not given back at once; 0 if it is not told."""
        try:
            used_bytes = int(self.usage.read_text("ascii"))
            lines = self.stat.read_text("ascii").splitlines()
        except (OSError, ValueError):
            return 0
        rest = next((line for line in lines if line.startswith(f"{self.inactive} ")), " 0")
        return max(0, used_bytes - int(rest.rpartition(" ")[2]))


def cgroup(listing: Path = Path("/proc/self/cgroup"), mount: Path = _MOUNT) -> Cgroup | None:
    """The tightest limit on this process's memory; None without one."""
    try:
        lines = listing.read_text("utf-8").splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _, names, path = line.split(":", 2)
        if names == "":
            found += _limits(mount, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in names.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _limits(mount / "memory", path, *files)
    return min(found, key=lambda one: one.limit_bytes, default=None)


def _limits(mount: Path, path: str, limit: str, usage: str, inactive: str) -> list[Cgroup]:
    """Those of a cgroup and of all above it. In a container it may be mounted where `path` says nothing of."""
    own = mount / path.strip("/")
    found = []
    for directory in (own, *own.parents):
        try:
            text = (directory / limit).read_text("ascii").strip()
        except OSError:
            text = ""
        if text.isdigit() and int(text) < _UNLIMITED:
            one = Cgroup(
                limit_bytes=int(text),
                usage=directory / usage,
                stat=directory / "memory.stat",
                inactive=inactive,
            )
            found.append(one)
        if directory == mount:
            break
    return found


def memory_bytes() -> int:
    """What this process may have at most: its cgroup's limit or the machine's memory."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    limited = cgroup()
    return machine_bytes if limited is None else min(machine_bytes, limited.limit_bytes)


def rss_bytes(pid: int | str = "self") -> int:
    """The memory a process holds that is in no file's pages; 0 if it is gone or nothing is known."""
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES
