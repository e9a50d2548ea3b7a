"""What a start makes of a journal that was interrupted, or damaged."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.errors import JournalDamaged
from halo_otel.journal import FrameKind, read_checkpoint
from halo_otel.journal.checkpoint import write_checkpoint
from halo_otel.journal.frame import END, FRAME_BYTES_MIN, PAD, pack_header
from halo_otel.journal.recovery import Recovered, recover
from halo_otel.journal.segment import BLOCK_BYTES, SEGMENT_HEADER_BYTES, segment_at
from tests.journal import writer
from tests.journal.disk import Disk

TORN = "halo.journal.torn_bytes"
SKIPPED = "halo.journal.skipped_bytes"

# Several segments with several frames each, groups of one and of more, an empty payload, zeros.
GROUPS = (
    [b"alpha", b"beta", b""],
    [b"gamma" * 9],
    [b"delta", b"\0" * 20],
    [b"epsilon"],
    [b"zeta" * 10],
    [b"eta", b"theta"],
)
PAYLOADS = [payload for group in GROUPS for payload in group]


@pytest.fixture
def small(disk: Disk) -> Disk:
    """A finished journal of three segments; every frame in it was acknowledged."""
    disk.segment_bytes = 200
    disk.write(*GROUPS)
    assert len(disk.segments()) == 3
    return disk


def write_unacknowledged(disk: Disk, group: list[bytes]) -> Path:
    """Append `group` to the last segment as a process does that dies before its fsync returns."""
    segment = disk.segments()[-1]
    end = int(segment.stem) + segment.stat().st_size
    data = b""
    for payload in group:
        offset = end + len(data)
        data += pack_header(FrameKind.TRACES, payload, offset=offset, arrival_ns=1, durable=end)
        data += payload + END
    with segment.open("ab") as file:
        file.write(data)
    return segment


def recovered_payloads(disk: Disk, found: Recovered) -> list[bytes]:
    return [frame.payload for frame in disk.frames(found.end_offset, found.checkpoint_offset)]


def test_a_clean_journal_is_left_as_it_is_and_read_twice_the_same(small: Disk) -> None:
    before = {path.name: path.read_bytes() for path in small.segments()}
    for _ in range(2):
        durable = small.recover()
        assert small.payloads(durable) == PAYLOADS
    assert {path.name: path.read_bytes() for path in small.segments()} == before
    assert small.counters.value(TORN) == 0


def test_truncation_of_the_last_segment_at_every_byte_leaves_a_clean_prefix(small: Disk) -> None:
    last = small.segments()[-1]
    whole = last.read_bytes()
    ends = [frame.end_offset for frame in small.frames(small.recover())]
    base = int(last.stem)
    for size in range(len(whole) + 1):
        cut = small.copy("cut")
        file = cut.directory / last.name
        os.truncate(file, size)
        found = recover(cut.directory, skip=False)
        kept = [payload for payload, end in zip(PAYLOADS, ends, strict=True) if end <= base + size]
        assert recovered_payloads(cut, found) == kept
        assert found.end_offset == max(
            [base + SEGMENT_HEADER_BYTES * (size >= SEGMENT_HEADER_BYTES)]
            + [end for end in ends if end <= base + size]
        )
        assert found.torn_bytes == base + size - found.end_offset
        # What is appended afterwards stands behind the clean prefix, and nothing else is cut.
        [end] = cut.write([b"after"])
        assert cut.payloads(end) == [*kept, b"after"]
        assert cut.recover() == end


@pytest.mark.parametrize("which", [0, 1])
def test_truncation_of_an_older_segment_at_any_byte_is_damage(small: Disk, which: int) -> None:
    older = small.segments()[which]
    for size in range(older.stat().st_size):
        cut = small.copy("cut")
        os.truncate(cut.directory / older.name, size)
        with pytest.raises(JournalDamaged, match=r"on_damage: skip"):
            recover(cut.directory, skip=False)


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF, None], ids=["low", "high", "all", "zero"])
def test_any_changed_byte_of_any_acknowledged_frame_is_found(
    small: Disk, change: int | None
) -> None:
    for segment in small.segments():
        data = segment.read_bytes()
        is_last = segment == small.segments()[-1]
        for position in range(len(data)):
            value = 0 if change is None else data[position] ^ change
            if value == data[position]:
                continue
            hurt = small.copy("hurt")
            changed = data[:position] + bytes([value]) + data[position + 1 :]
            (hurt.directory / segment.name).write_bytes(changed)
            try:
                found = recover(hurt.directory, skip=False)
            except JournalDamaged:
                continue
            # Only a zero where a frame of the very last group begins or ends can be a block that
            # was never written; then the bytes are cut and counted.
            assert value == 0
            assert is_last
            assert found.torn_bytes > 0
            payloads = recovered_payloads(hurt, found)
            assert payloads == PAYLOADS[: len(payloads)] != PAYLOADS


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), hits=st.integers(1, 6))
def test_random_corruption_is_never_silently_different_data(
    tmp_path_factory: pytest.TempPathFactory, seed: int, hits: int
) -> None:
    disk = Disk(tmp_path_factory.mktemp("journal") / "j", segment_bytes=200)
    disk.write(*GROUPS)
    draw = random.Random(seed)
    for _ in range(hits):
        segment = draw.choice(disk.segments())
        data = bytearray(segment.read_bytes())
        start = draw.randrange(len(data))
        data[start : start + draw.randint(1, 40)] = draw.randbytes(draw.randint(0, 40))
        segment.write_bytes(data)
    try:
        found = recover(disk.directory, skip=False)
    except JournalDamaged:
        found = recover(disk.directory, skip=True)
        assert found.skipped_bytes > 0
        rest = iter(PAYLOADS)
        assert all(payload in rest for payload in recovered_payloads(disk, found))
        again = recover(disk.directory, skip=False)
        assert recovered_payloads(disk, again) == recovered_payloads(disk, found)
    else:
        payloads = recovered_payloads(disk, found)
        assert payloads == PAYLOADS[: len(payloads)]
        assert (found.torn_bytes > 0) or payloads == PAYLOADS


@pytest.mark.parametrize("sizes", [[100], [700], [3000], [40, 2000, 40], [1500] * 4])
def test_after_a_power_loss_an_unacknowledged_group_is_cut(disk: Disk, sizes: list[int]) -> None:
    """Blocks of the last group arrive in any order; those that did not arrive read as zeros."""
    disk.segment_bytes = 1 << 20
    acknowledged = [b"kept" * 50, b"kept too"]
    end = disk.write(acknowledged)[-1]
    draw = random.Random(len(sizes))
    group = [draw.randbytes(size) for size in sizes]
    segment = write_unacknowledged(disk, group)
    whole = segment.read_bytes()
    first_block = end // BLOCK_BYTES
    blocks = range(first_block, -(-len(whole) // BLOCK_BYTES))
    for _ in range(40):
        lost = [block for block in blocks if draw.random() < 0.5] or [draw.choice(blocks)]
        data = bytearray(whole)
        for block in lost:
            # The part of the first block that was acknowledged earlier is on disk in any case.
            start = max(block * BLOCK_BYTES, end)
            stop = min((block + 1) * BLOCK_BYTES, len(data))
            data[start:stop] = bytes(stop - start)
        hurt = disk.copy("hurt")
        (hurt.directory / segment.name).write_bytes(data)
        found = recover(hurt.directory, skip=False)
        payloads = recovered_payloads(hurt, found)
        assert payloads[:2] == acknowledged
        assert payloads[2:] == group[: len(payloads) - 2]
        assert found.torn_bytes == len(whole) - found.end_offset


def test_zeros_in_an_acknowledged_frame_are_damage_once_a_later_group_proves_it(disk: Disk) -> None:
    disk.segment_bytes = 1 << 20
    ends = disk.write([b"x" * 3000], [b"later"])
    segment = disk.segments()[0]
    data = bytearray(segment.read_bytes())
    data[1024:2048] = bytes(1024)
    segment.write_bytes(data)
    with pytest.raises(JournalDamaged, match=f"at offset {SEGMENT_HEADER_BYTES}: a payload"):
        disk.recover()
    # The proof may be torn itself: its sound header is enough.
    os.truncate(segment, ends[-1] - 3)
    with pytest.raises(JournalDamaged):
        disk.recover()
    # So is a checkpoint. Without any proof the frame was never acknowledged.
    os.truncate(segment, ends[0])
    proved = disk.copy("proved")
    write_checkpoint(proved.directory, ends[0])
    with pytest.raises(JournalDamaged):
        proved.recover()
    assert disk.recover() == SEGMENT_HEADER_BYTES
    assert disk.counters.value(TORN) == ends[0] - SEGMENT_HEADER_BYTES


def test_a_checkpoint_beyond_the_end_is_damage(small: Disk) -> None:
    end = small.recover()
    small.write(checkpoint=end)
    os.truncate(small.segments()[-1], 60)
    with pytest.raises(JournalDamaged):
        small.recover()
    assert small.recover("skip") >= end
    assert small.counters.value(SKIPPED) > 0


def test_a_frame_that_a_stranger_hid_in_a_payload_is_not_taken_for_one(disk: Disk) -> None:
    disk.segment_bytes = 1 << 20
    forged = pack_header(FrameKind.TRACES, b"evil", offset=77, arrival_ns=1, durable=70)
    forged += b"evil" + END
    ends = disk.write([b"....", forged * 5, b"good"], [b"last"])
    segment = disk.segments()[0]
    data = bytearray(segment.read_bytes())
    data[ends[0]] ^= 0xFF
    segment.write_bytes(data)
    durable = disk.recover("skip")
    assert disk.payloads(durable) == [b"....", b"good", b"last"]


def test_damage_names_file_offset_and_cure(small: Disk) -> None:
    segment = small.segments()[1]
    data = bytearray(segment.read_bytes())
    data[SEGMENT_HEADER_BYTES + 3] ^= 1
    segment.write_bytes(data)
    offset = int(segment.stem) + SEGMENT_HEADER_BYTES
    with pytest.raises(JournalDamaged) as caught:
        small.recover()
    text = str(caught.value)
    assert str(segment) in text
    assert f"offset {offset}" in text
    assert "HALO_JOURNAL_ON_DAMAGE=skip" in text


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
@pytest.mark.parametrize("part", ["header", "payload"])
def test_skip_sets_exactly_the_damaged_frame_aside(small: Disk, number: int, part: str) -> None:
    frames = small.frames(small.recover())
    frame = frames[number]
    segment = next(s for s in reversed(small.segments()) if int(s.stem) <= frame.offset)
    position = (frame.offset if part == "header" else frame.end_offset - 1) - int(segment.stem)
    data = bytearray(segment.read_bytes())
    data[position] ^= 0x11
    segment.write_bytes(data)
    end = small.recover("skip")
    rest = PAYLOADS[:number] + PAYLOADS[number + 1 :]
    assert small.payloads(end) == rest
    assert small.counters.value(SKIPPED) == frame.end_offset - frame.offset
    # Set aside once: later starts find nothing to complain of, and appending goes on.
    [last] = small.write([b"after"])
    assert small.payloads(last) == [*rest, b"after"]
    assert small.counters.value(SKIPPED) == frame.end_offset - frame.offset


def test_a_reader_that_stopped_between_two_damaged_frames_goes_on_behind_them(disk: Disk) -> None:
    """What is set aside is then one range, and where the reader stopped is in the midst of it."""
    ends = disk.write([b"alpha"], [b"beta"], [b"gamma"], [b"delta"], checkpoint=None)
    with disk.segments()[0].open("r+b") as file:
        for end in ends[:2]:
            file.seek(end)
            file.write(b"\x01" * 4)
    durable = disk.recover("skip")
    assert [frame.payload for frame in disk.frames(durable, ends[1])] == [b"delta"]


def test_skip_keeps_the_damaged_bytes_for_a_look(disk: Disk) -> None:
    disk.write([b"before"], [b"interesting" * 10], [b"behind"])
    segment = disk.segments()[0]
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"interesting" * 10, b"interesting" * 9 + b"Interesting"))
    disk.recover("skip")
    assert b"interesting" * 9 in segment.read_bytes()


def test_a_missing_segment_is_damage_and_can_be_skipped(small: Disk) -> None:
    frames = small.frames(small.recover())
    first, middle, last = small.segments()
    size = middle.stat().st_size
    middle.unlink()
    with pytest.raises(JournalDamaged, match=f"{size} bytes are missing"):
        small.recover()
    end = small.recover("skip")
    lost = range(int(middle.stem), int(last.stem))
    assert small.payloads(end) == [f.payload for f in frames if f.offset not in lost]
    assert small.counters.value(SKIPPED) == size
    assert first.exists()
    assert small.recover() == end


def test_a_missing_first_segment_is_damage_and_can_be_skipped(small: Disk) -> None:
    first, second, _ = small.segments()
    first.unlink()
    with pytest.raises(JournalDamaged, match="is missing"):
        small.recover()
    end = small.recover("skip")
    assert read_checkpoint(small.directory) == int(second.stem)
    assert small.payloads(end) == PAYLOADS[-len(small.payloads(end)) :]
    assert small.recover() == end


def test_offsets_go_on_when_all_segments_are_missing(small: Disk) -> None:
    end = small.recover()
    small.write(checkpoint=end)
    for segment in small.segments():
        segment.unlink()
    with pytest.raises(JournalDamaged, match="is missing"):
        small.recover()
    assert small.recover("skip") == end + SEGMENT_HEADER_BYTES
    [last] = small.write([b"after"])
    assert small.payloads(last) == [b"after"]


def test_a_segment_that_overlaps_the_next_is_damage(small: Disk) -> None:
    first = small.segments()[0]
    with first.open("ab") as file:
        file.write(b"\0" * 7)
    with pytest.raises(JournalDamaged, match="7 bytes overlap the next segment"):
        small.recover()
    assert small.payloads(small.recover("skip")) == PAYLOADS
    assert small.counters.value(SKIPPED) == 7


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_segment_header_loses_no_frame_when_skipped(small: Disk, which: int) -> None:
    segment = small.segments()[which]
    data = segment.read_bytes()
    for position in range(SEGMENT_HEADER_BYTES):
        hurt = small.copy("hurt")
        changed = data[:position] + bytes([data[position] ^ 0x21]) + data[position + 1 :]
        (hurt.directory / segment.name).write_bytes(changed)
        with pytest.raises(JournalDamaged, match="segment header"):
            hurt.recover()
        assert hurt.payloads(hurt.recover("skip")) == PAYLOADS


def test_a_renamed_segment_is_found(small: Disk) -> None:
    last = small.segments()[-1]
    last.rename(segment_at(small.directory, int(last.stem) + 1).path)
    with pytest.raises(JournalDamaged):
        small.recover()


def test_a_newer_format_is_left_alone_even_when_damage_is_skipped(
    small: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("halo_otel.journal.segment.VERSION", 2)
    before = [path.read_bytes() for path in small.segments()]
    with pytest.raises(JournalDamaged, match="has format version 1, this program knows 2"):
        small.recover("skip")
    assert [path.read_bytes() for path in small.segments()] == before


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"HALOCKP\x01" + b"\1" * 12, b"x" * 50])
def test_a_bad_checkpoint_file_is_damage_and_can_be_skipped(small: Disk, content: bytes) -> None:
    (small.directory / "checkpoint").write_bytes(content)
    with pytest.raises(JournalDamaged, match="checkpoint"):
        small.recover()
    with pytest.raises(JournalDamaged, match="checkpoint"):
        read_checkpoint(small.directory)
    assert small.payloads(small.recover("skip")) == PAYLOADS
    assert read_checkpoint(small.directory) == 0


def test_an_interrupted_trim_is_finished_at_the_next_start(small: Disk) -> None:
    untrimmed = small.copy("untrimmed")
    end = small.recover()
    small.write(checkpoint=end)
    (untrimmed.directory / "checkpoint").write_bytes((small.directory / "checkpoint").read_bytes())
    assert untrimmed.recover() == end
    assert [s.name for s in untrimmed.segments()] == [s.name for s in small.segments()]


def test_ranges_too_small_for_a_frame_are_stepped_over(disk: Disk) -> None:
    """Whatever left such a range: a sound frame behind it is found and nothing else is lost."""
    disk.segment_bytes = 1 << 20
    [end] = disk.write([b"before"])
    for gap in range(1, FRAME_BYTES_MIN):
        hurt = disk.copy("hurt")
        offset = end + gap
        header = pack_header(FrameKind.LOGS, b"behind", offset=offset, arrival_ns=1, durable=offset)
        with hurt.segments()[0].open("ab") as file:
            file.write(b"?" * gap + header + b"behind" + END)
        with pytest.raises(JournalDamaged):
            hurt.recover()
        durable = hurt.recover("skip")
        assert hurt.payloads(durable) == [b"before", b"behind"]
        assert hurt.counters.value(SKIPPED) == gap
        assert hurt.segments()[0].read_bytes()[end:offset] == PAD * gap


def test_the_reader_finds_damage_that_comes_after_the_start(small: Disk) -> None:
    durable = small.recover()
    for segment in small.segments():
        data = segment.read_bytes()
        for position in range(len(data)):
            changed = data[:position] + bytes([data[position] ^ 0x40]) + data[position + 1 :]
            segment.write_bytes(changed)
            with pytest.raises(JournalDamaged, match=segment.name):
                small.frames(durable)
        segment.write_bytes(data)
        os.truncate(segment, len(data) - 1)
        with pytest.raises(JournalDamaged):
            small.frames(durable)
        segment.write_bytes(data)
    small.segments()[1].unlink()
    with pytest.raises(JournalDamaged):
        small.frames(durable)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    acknowledged: list[int] = []
    draw = random.Random(7)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, writer.__file__, str(directory), str(len(acknowledged) * 100)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert process.stdout is not None
        for _ in range(draw.randint(1, 300)):
            acknowledged.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        process.wait()
        process.stdout.close()
        # The last line may have been cut by the kill, never its frame.
        acknowledged += [int(line) for line in rest.splitlines(keepends=True) if line[-1:] == b"\n"]
    disk = Disk(directory)
    payloads = set(disk.payloads(disk.recover()))
    assert len(acknowledged) > 100
    assert {writer.payload_of(number) for number in acknowledged} <= payloads
