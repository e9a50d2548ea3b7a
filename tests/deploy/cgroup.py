"""A control group as a container has: memory up to a limit, and counted as a kubelet counts it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from halo_otel.config.machine import Cgroup

_MOUNT = Path("/sys/fs/cgroup")
_ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'


@contextmanager
def limited(limit_bytes: int) -> Iterator[tuple[Cgroup, list[str]] | None]:
    """A new cgroup (version 1 or 2) and what to put before a command to run it in there.

    None where this user may make none. All its processes must have ended when it is left.
    """
    version_1 = _MOUNT / "memory"
    parent, names = (
        (version_1, ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
        if version_1.is_dir()
        else (_MOUNT, ("memory.max", "memory.current", "inactive_file"))
    )
    directory = parent / f"halo-otel-{os.getpid()}"
    try:
        directory.mkdir()
        (directory / names[0]).write_text(str(limit_bytes), encoding="ascii")
    except OSError:
        if directory.is_dir():
            directory.rmdir()
        yield None
        return
    try:
        made = Cgroup(
            limit_bytes=limit_bytes,
            usage=directory / names[1],
            stat=directory / "memory.stat",
            inactive=names[2],
        )
        yield made, ["sh", "-c", _ENTER, str(directory)]
    finally:
        directory.rmdir()
