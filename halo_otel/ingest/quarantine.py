"""Requests that cannot be stored, kept with their bytes for a human.

`<offset>.traces` and `<offset>.logs` hold the request as it is journaled, a serialized OTLP
`Export…ServiceRequest`: a newer version may be sent it again, over OTLP/HTTP.
"""

import os
from pathlib import Path
from typing import Final

from halo_otel.errors import Unwritable
from halo_otel.journal import Frame
from halo_otel.selfobs import Counters

DIRECTORY: Final = "quarantine"  # below the windows' directory


class Quarantine:
    """A directory of at most `bytes_max` bytes; what comes beyond is counted alone."""

    def __init__(self, directory: Path, bytes_max: int, counters: Counters) -> None:
        self._directory = directory / DIRECTORY
        self._bytes_max = bytes_max
        self._counters = counters

    def keep(self, frame: Frame) -> bool:
        """Whether there was room for `frame`, which is on disk then. Raises `Unwritable`."""
        path = self._directory / f"{frame.offset}.{frame.kind.name.lower()}"
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            held = sum(kept.stat().st_size for kept in self._directory.iterdir() if kept != path)
            kept = held + len(frame.payload) <= self._bytes_max
            if kept:
                _write(path, frame.payload)
        except OSError as error:
            raise Unwritable(
                f"{self._directory} cannot be written: {error.strerror}; make room"
            ) from error
        self._counters.add("halo.ingest.undecodable_frames")
        if not kept:
            self._counters.add("halo.ingest.unkept_frames")
        return kept


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
