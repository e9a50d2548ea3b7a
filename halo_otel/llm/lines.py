"""A file of lines within its bytes, for what is appended and seldom read."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from halo_otel.errors import Unwritable


class Lines:
    """Lines in `file`, the user's alone. At half of `size_bytes` the file becomes `….1`, in place of the one
    before: both together never exceed it. `what` says in an error what could not be done. Any thread may append."""

    def __init__(self, file: Path, size_bytes: int, what: str) -> None:
        self._file = file
        self._older = file.with_name(f"{file.name}.1")
        self._half_bytes = size_bytes // 2
        self._what = what
        self._is_whole = False  # the last line, as far as this process knows
        self._lock = Lock()  # two that find the file full must not move it both

    def append(self, text: str) -> None:
        """One line more; a line that a crash tore before it is ended first. Raises Unwritable."""
        line = text.encode("utf-8", "replace") + b"\n"
        with self._lock:
            self._append(line)

    def _append(self, line: bytes) -> None:
        # As few calls of the system as can be: after each, a thread may wait milliseconds for a busy loop.
        try:
            handle, size = self._opened()
            if size and size + len(line) >= self._half_bytes:
                os.close(handle)
                os.replace(self._file, self._older)
                handle, size = self._opened()
            try:
                if size and not self._is_whole and os.pread(handle, 1, size - 1) != b"\n":
                    line = b"\n" + line
                self._is_whole = os.write(handle, line) == len(line)
            finally:
                os.close(handle)
        except OSError as error:
            raise Unwritable(
                f"{self._file}: cannot {self._what} ({error.strerror}): free space or check its rights"
            ) from error

    def _opened(self) -> tuple[int, int]:
        """The file, made if there is none, and its size."""
        how = os.O_RDWR | os.O_APPEND | os.O_CREAT
        try:
            handle = os.open(self._file, how, 0o600)
        except FileNotFoundError:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._file, how, 0o600)
        return handle, os.fstat(handle).st_size

    def __iter__(self) -> Iterator[bytes]:
        """The lines there are, oldest first; none of a file that cannot be read."""
        for path in (self._older, self._file):
            try:
                yield from path.read_bytes().splitlines()
            except OSError:  # there is none yet
                continue
