"""A journal as version 1 wrote it stays readable; what a newer version wrote is left alone."""

from pathlib import Path
from typing import Literal

import google_crc32c
import pytest

from halo_otel.errors import JournalDamaged
from halo_otel.journal.segment import SEGMENT_HEADER_BYTES
from tests.journal.disk import Disk

# Bytes of a journal directory, as version 1 wrote them; never changed.
SEGMENT_1 = bytes.fromhex(
    "48414c4f4a4e4c0100000000000000000000000000000000c812f492a10300000000002a36fe9c97171c0000"
    "0000000000e9b2942ad3bd2d216f6e655aa10000000000002a36fe9c97173d00000000000000000000006dae"
    "27445aa10500000000002a36fe9c97175b00000000000000bc51441cbb0a328174687265655a"
)
CHECKPOINT_1 = bytes.fromhex("48414c4f434b50013d00000000000000252c047e")
PAYLOADS = [b"one", b"", b"three"]


@pytest.fixture
def old(disk: Disk) -> Path:
    """The segment that version 1 left."""
    disk.directory.mkdir(parents=True, exist_ok=True)
    path = disk.directory / f"{0:020d}.journal"
    path.write_bytes(SEGMENT_1)
    return path


@pytest.mark.parametrize(("checkpoint", "left"), [(None, PAYLOADS), (CHECKPOINT_1, PAYLOADS[1:])])
def test_what_version_1_wrote_is_read_and_goes_on(
    disk: Disk, old: Path, checkpoint: bytes | None, left: list[bytes]
) -> None:
    if checkpoint is not None:
        (disk.directory / "checkpoint").write_bytes(checkpoint)
    assert disk.recover() == len(SEGMENT_1)
    assert disk.payloads(len(SEGMENT_1)) == left
    (end,) = disk.write([b"four"])
    assert disk.payloads(end) == [*left, b"four"]
    assert old.read_bytes()[: len(SEGMENT_1)] == SEGMENT_1


@pytest.mark.parametrize("on_damage", ["stop", "skip"])
def test_what_a_newer_version_wrote_is_refused_and_left_alone(
    disk: Disk, old: Path, on_damage: Literal["stop", "skip"]
) -> None:
    place = len(b"HALOJNL")
    fields = SEGMENT_1[:place] + b"\x02" + SEGMENT_1[place + 1 : SEGMENT_HEADER_BYTES - 4]
    crc = google_crc32c.value(fields).to_bytes(4, "little")
    newer = fields + crc + SEGMENT_1[SEGMENT_HEADER_BYTES:]
    old.write_bytes(newer)
    told = "has format version 2, this program knows 1: start the halo-otel version that wrote it"
    with pytest.raises(JournalDamaged, match=told):
        disk.recover(on_damage)
    assert old.read_bytes() == newer
