"""Journals that were cut, overwritten and mixed up: what is read back was written there.

The input is a recipe. Four bytes say whether damage is skipped, how many frames there are, how many to a
segment and what their sizes are; then come damages of six bytes each. What is left is put behind the end.
"""

import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from halo_otel.errors import JournalDamaged
from halo_otel.journal import Frame, FrameKind, JournalReader
from halo_otel.journal.checkpoint import FILE_NAME, write_checkpoint
from halo_otel.journal.frame import END, FRAME_BYTES_MIN, pack_header
from halo_otel.journal.recovery import recover
from halo_otel.journal.segment import (
    BLOCK_BYTES,
    SEGMENT_HEADER_BYTES,
    pack_segment_header,
    segment_at,
)
from tests.fuzz.trees import Bytes

RUNS: Final = 750

_DAMAGE: Final = struct.Struct("<BBHBB")  # what, segment, where, how much, with what
_DAMAGES_MAX: Final = 8
_SIZES: Final = (0, 1, 7, 60, 300, 600, 1500)
_EVERYTHING: Final = 1 << 40
_NEVER: Final = 1 << 62


@dataclass(slots=True)
class Written:
    """A journal in memory: the segments' bytes by their base, and the frames in them by offset."""

    segments: dict[int, bytearray] = field(default_factory=dict)
    frames: dict[int, bytes] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    damaged_from: int = _NEVER  # the first offset at which something is not as it was written

    def damage(self, offset: int) -> None:
        self.damaged_from = min(self.damaged_from, offset)


def check(data: bytes) -> None:
    recipe = data.ljust(4, b"\0")
    directory = Path(tempfile.mkdtemp())
    try:
        skip = bool(recipe[0] & 1)
        journal = _written(recipe[1], recipe[2], recipe[3])
        _damaged(journal, directory, recipe[4:])
        for base, content in journal.segments.items():
            segment_at(directory, base).path.write_bytes(content)
        _check_recovery(journal, directory, skip)
    finally:
        shutil.rmtree(directory)


def _check_recovery(journal: Written, directory: Path, skip: bool) -> None:
    try:
        found = recover(directory, skip=skip)
    except JournalDamaged:
        assert not skip
        return
    frames = _read(directory, found.checkpoint_offset, found.end_offset)
    for frame in frames:
        assert journal.frames.get(frame.offset) == frame.payload
    read = {frame.offset for frame in frames}
    for offset, payload in journal.frames.items():
        intact = offset + FRAME_BYTES_MIN + len(payload) <= journal.damaged_from
        assert offset in read or not intact or offset < found.checkpoint_offset
    # After a start that went well the next one finds nothing to do, also if it may not skip.
    end_offset = found.end_offset
    if not found.segments:  # then the writer begins one
        header = pack_segment_header(end_offset, found.arrival_ns)
        segment_at(directory, end_offset).path.write_bytes(header)
        end_offset += len(header)
    again = recover(directory, skip=False)
    assert (again.end_offset, again.checkpoint_offset) == (end_offset, found.checkpoint_offset)
    assert again.torn_bytes == again.skipped_bytes == 0
    assert _read(directory, again.checkpoint_offset, again.end_offset) == frames


def _read(directory: Path, offset: int, end_offset: int) -> list[Frame]:
    with JournalReader(directory, offset) as reader:
        return reader.read(end_offset, _EVERYTHING)


def _written(count: int, per_segment: int, sizes: int) -> Written:
    """As the writer lays it out: groups of one to three frames, each of which knows where the last group ended."""
    journal, rng = Written(), Random(sizes)
    base = end = durable = 0
    for number in range(count % 12):
        if number % (1 + per_segment % 5) == 0:
            base = durable = end
            journal.segments[base] = bytearray(pack_segment_header(base, number))
            end += SEGMENT_HEADER_BYTES
        payload = rng.choice((bytes(_SIZES[-1]), rng.randbytes(rng.choice(_SIZES))))
        _append(journal, base, end, payload, durable)
        end = journal.ends[-1]
        if rng.random() < 0.5:
            durable = end
    return journal


def _append(journal: Written, base: int, offset: int, payload: bytes, durable: int) -> None:
    kind = FrameKind.TRACES if len(payload) % 2 else FrameKind.LOGS
    header = pack_header(kind, payload, offset=offset, arrival_ns=offset, durable=durable)
    journal.segments[base] += header + payload + END
    journal.frames[offset] = payload
    journal.ends.append(offset + FRAME_BYTES_MIN + len(payload))


def _damaged(journal: Written, directory: Path, recipe: bytes) -> None:
    count = min(len(recipe) // _DAMAGE.size, _DAMAGES_MAX)
    for number in range(count):
        what, which, where, size, value = _DAMAGE.unpack_from(recipe, number * _DAMAGE.size)
        if journal.segments:
            base = sorted(journal.segments)[which % len(journal.segments)]
            _damage(journal, base, what % 11, where, size, value, directory)
    rest = recipe[count * _DAMAGE.size :]
    if rest and journal.segments:
        base = max(journal.segments)
        journal.damage(base + len(journal.segments[base]))
        journal.segments[base] += rest


def _damage(
    journal: Written, base: int, what: int, where: int, size: int, value: int, directory: Path
) -> None:
    content = journal.segments[base]
    at = where % (len(content) + 1)
    match what:
        case 0:
            del journal.segments[base]
            journal.damage(base)
        case 1:  # a group that was written and not acknowledged
            last = base == max(journal.segments) and journal.damaged_from == _NEVER
            if last and not (directory / FILE_NAME).exists():
                offset = base + len(content)
                _append(journal, base, offset, bytes([value]) * size, offset)
        case 2:
            (directory / FILE_NAME).write_bytes(bytes([value]) * size)
        case 3:
            offsets = [0, *journal.ends, journal.ends[-1] + value]
            write_checkpoint(directory, offsets[where % len(offsets)])
        case 4:  # blocks that were never written
            at -= at % BLOCK_BYTES
            end = min(at + BLOCK_BYTES * (1 + value % 3), len(content))
            content[at:end] = bytes(end - at)
            journal.damage(base + at)
        case _:
            journal.damage(base + at)
            _edit(content, what, at, size, value)


def _edit(content: bytearray, what: int, at: int, size: int, value: int) -> None:
    match what:
        case 5:
            content[at : at + size] = bytes([value]) * len(content[at : at + size])
        case 6:
            del content[at:]
        case 7:
            del content[at : at + size]
        case 8:
            content[at:at] = bytes([value]) * size
        case 9:  # a frame that was written elsewhere
            source = content[value * 8 : value * 8 + size]
            content[at : at + len(source)] = source
        case _:
            content[at : at + 1] = bytes(byte ^ (1 << value % 8) for byte in content[at : at + 1])


def mutate(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    return None  # any bytes are a recipe


def seeds() -> Iterator[bytes]:
    for what in range(11):
        for skip in range(2):
            yield bytes([skip, 9, 3, 5]) + _DAMAGE.pack(what, 1, 100, 40, 0)
    yield bytes([1, 11, 10, 2]) + _DAMAGE.pack(3, 0, 4, 0, 0) + _DAMAGE.pack(5, 0, 900, 90, 1)
    yield bytes(4)
