"""Writing so that it stays written: whole writes, fsynced directories, atomic files.

Files hold other people's prompts, so they are created for the owner's eyes only.
"""

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from halo_otel.clock import Clock
from halo_otel.errors import ConfigError, InUse

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
# What a write reports when there is no room: the disk, the user's quota, the file size limit.
FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# Linux takes at most 1024 buffers in one writev (IOV_MAX, limits.h).
_BUFFERS_MAX: Final = 1024

# A killed predecessor lets go of its lock when its last thread is gone, which a large memory or a
# hanging fsync can delay; a restart by a supervisor must not fail because of that.
_LOCK_WAIT_S: Final = 5.0
_LOCK_STEP_S: Final = 0.1


def write_all(fd: int, buffers: Sequence[bytes]) -> None:
    """Write all `buffers` at the file's position; short writes go on until the system says why."""
    for start in range(0, len(buffers), _BUFFERS_MAX):
        rest: list[bytes | memoryview] = list(buffers[start : start + _BUFFERS_MAX])
        while rest:
            written = os.writev(fd, rest)
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = memoryview(rest[0])[written:]


class SyncFailed(Exception):
    """An fsync failed; whatever the reason, the pages may be gone (Linux marks them clean)."""


def sync_data(fd: int) -> None:
    """Make the file's bytes and its size durable. Raises SyncFailed."""
    try:
        os.fdatasync(fd)
    except OSError as error:
        raise SyncFailed(f"fsync failed: {error.strerror}") from error


def sync_path(path: Path) -> None:
    """Make a file, or a directory's creations, renames and removals, durable. Raises SyncFailed."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        raise SyncFailed(f"fsync of {path} failed: {error.strerror}") from error
    finally:
        os.close(fd)


def replace_file(path: Path, content: bytes) -> None:
    """Make `path` hold `content`: after a crash it is the old or the new content, never a mixture.

    On a full disk an existing file of the same size is overwritten where it is. That needs no new
    room, and content below one sector (512 bytes) is written by the device as a whole.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        _write_file(temporary, content, os.O_CREAT | os.O_TRUNC)
        os.rename(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in FULL_ERRNOS or not path.exists():
            raise
        _write_file(path, content, 0)
    sync_path(path.parent)


def _write_file(path: Path, content: bytes, flags: int) -> None:
    fd = os.open(path, os.O_WRONLY | flags, FILE_MODE)
    try:
        write_all(fd, [content])
        os.fsync(fd)
    finally:
        os.close(fd)


async def lock_directory(directory: Path, clock: Clock) -> int:
    """Create `directory` if need be and hold it exclusively; closing the returned fd lets it go.

    Raises InUse when another process keeps it for more than a few seconds, ConfigError when it
    cannot be created or written.
    """
    try:
        fd = _open_lock(directory)
    except OSError as error:
        raise ConfigError(
            f"journal.directory: {directory} cannot be used ({error.strerror}): "
            "choose a directory this user may write to"
        ) from error
    for _ in range(round(_LOCK_WAIT_S / _LOCK_STEP_S)):
        if _try_lock(fd):
            return fd
        await clock.sleep(_LOCK_STEP_S)
    os.close(fd)
    raise InUse(
        f"{directory} is in use by another halo-otel process: "
        "stop that one, or give this one its own storage.directory"
    )


def _open_lock(directory: Path) -> int:
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    return os.open(directory / "lock", os.O_RDWR | os.O_CREAT, FILE_MODE)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
