"""Which requests kill the process that stores them.

Before a group of requests is worked on its place in the journal is written to a small file, and taken
back when the group is done or Python tells why it is not. So a start that finds a place there follows
a death in the midst of that group: a crash of native code, memory that ran out, a hang that was ended.

    death in a group of many  ─▶  next time each of its requests goes alone
    death of one that was alone, again  ─▶  it is set aside

An engine that died by itself weighs more than one that was killed, alone or with the front: then
somebody ended it, the kernel made room or the power was cut, which says little about what was under
way, and to go alone costs a commit each. So after five of those requests go alone. Guilty is who was
under way, in the end alone, at two deaths of the first kind or ten in all, without a request stored
in between. With five instead of ten, fifty kills within minutes on a busy machine found one guilty
that was not: a start is killed before its first commit more often than not.
"""

import os
import struct
from pathlib import Path
from typing import Final

from halo_otel.errors import Unwritable
from halo_otel.journal import Frame

FILE_NAME: Final = "under-way"
_PLACE: Final = struct.Struct("<QQI")  # first byte, end, weight of the deaths before
_NOTHING: Final = _PLACE.pack(0, 0, 0)

OWN_DEATH: Final = 5
ANY_DEATH: Final = 1
GUILTY: Final = 10


class Trial:
    """The file of one windows directory. Not fsynced: it outlives the process, not a power cut.

    `successor`: the engine before this one died by itself, and was not killed. Every method may raise
    `Unwritable`.
    """

    def __init__(self, directory: Path, *, successor: bool) -> None:
        self._path = directory / FILE_NAME
        self._begin, self._end, self._weight = self._read()
        if self._begin < self._end:
            self._weight += OWN_DEATH if successor else ANY_DEATH

    def suspects(self, frame: Frame) -> bool:
        """Whether `frame` may be why there was a death, so that it has to go alone."""
        return self._weight >= OWN_DEATH and self._was_under_way(frame)

    def convicts(self, frame: Frame) -> bool:
        """Whether `frame` was alone under way at too many deaths."""
        alone = (self._begin, self._end) == (frame.offset, frame.end_offset)
        return alone and self._weight >= GUILTY

    def begin(self, group: list[Frame]) -> None:
        """From now on a death is about `group`."""
        weight = self._weight if self._was_under_way(group[0]) else 0
        self._write(_PLACE.pack(group[0].offset, group[-1].end_offset, weight))

    def end(self) -> None:
        """Nothing is under way."""
        self._write(_NOTHING)

    def _was_under_way(self, frame: Frame) -> bool:
        return self._begin <= frame.offset < self._end

    def _read(self) -> tuple[int, int, int]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            content = _NOTHING
        except OSError as error:
            raise self._unwritable(error) from error
        # A file of another size is from a moment when the disk was full.
        begin, end, weight = _PLACE.unpack(content if len(content) == _PLACE.size else _NOTHING)
        return begin, end, weight

    def _write(self, content: bytes) -> None:
        """Overwritten in place, which needs no room on a full disk."""
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(handle, content, 0)
            finally:
                os.close(handle)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> Unwritable:
        return Unwritable(f"{self._path} cannot be written: {error.strerror}; make room")
