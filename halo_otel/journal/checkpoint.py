"""The small file that says up to which offset the journal is no longer needed.

It may lag: the windows hold the exact offset in the same transaction as the rows, so a checkpoint
that is too low only means that segments stay longer and that frames are read and skipped again. It
is never too high, and it is written before a segment it makes superfluous is removed.
"""

import struct
from pathlib import Path
from typing import Final

import google_crc32c

from halo_otel.journal.disk import replace_file
from halo_otel.journal.segment import damaged

FILE_NAME: Final = "checkpoint"
_MAGIC: Final = b"HALOCKP\x01"  # the last byte is the version
_FIELDS: Final = struct.Struct("<8sQ")
_CRC: Final = struct.Struct("<I")


def read_checkpoint(directory: Path) -> int:
    """The stored offset, 0 if there is none yet. Raises JournalDamaged."""
    path = directory / FILE_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    try:
        return _unpack(content)
    except ValueError as error:
        raise damaged(path, 0, str(error)) from error


def write_checkpoint(directory: Path, offset: int) -> None:
    """Store `offset` durably."""
    fields = _FIELDS.pack(_MAGIC, offset)
    content = fields + _CRC.pack(google_crc32c.value(fields))
    replace_file(directory / FILE_NAME, content)


def _unpack(content: bytes) -> int:
    if len(content) != _FIELDS.size + _CRC.size:
        raise ValueError("the checkpoint file has the wrong size")
    fields = content[: _FIELDS.size]
    if _CRC.unpack_from(content, _FIELDS.size)[0] != google_crc32c.value(fields):
        raise ValueError("the checkpoint file does not match its checksum")
    magic, offset = _FIELDS.unpack(fields)
    if magic != _MAGIC:
        raise ValueError("the checkpoint file is of an unknown version")
    return int(offset)
