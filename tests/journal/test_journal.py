"""Appending, group commit, bounds, trimming, locking."""

import asyncio
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S, ManualClock
from halo_otel.errors import (
    ConfigError,
    InUse,
    JournalDamaged,
    JournalFailed,
    JournalFull,
    TooLarge,
)
from halo_otel.journal import FrameKind, JournalReader, read_checkpoint
from halo_otel.journal import disk as disk_module
from halo_otel.journal.frame import FRAME_BYTES_MIN
from halo_otel.journal.segment import SEGMENT_HEADER_BYTES
from tests.journal.disk import Disk


def test_what_was_appended_is_read_back(disk: Disk) -> None:
    ends = disk.write([b"one", b"", b"\0" * 2000], [b"four"])
    frames = disk.frames(ends[-1])
    assert [frame.payload for frame in frames] == [b"one", b"", b"\0" * 2000, b"four"]
    assert [frame.end_offset for frame in frames] == ends
    assert [frame.offset for frame in frames] == [SEGMENT_HEADER_BYTES, *ends[:-1]]
    assert {frame.kind for frame in frames} == {FrameKind.TRACES}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    groups=st.lists(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), max_size=8),
    bites=st.integers(min_value=1, max_value=5000),
)
def test_any_payloads_round_trip_over_segments_and_reads_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]], bites: int
) -> None:
    disk = Disk(tmp_path_factory.mktemp("journal"))
    ends = disk.write(*groups)
    durable = disk.recover()
    read: list[bytes] = []
    with JournalReader(disk.directory, 0) as reader:
        while frames := reader.read(durable, bites):
            assert sum(len(frame.payload) for frame in frames[:-1]) < bites
            read += [frame.payload for frame in frames]
        assert reader.offset == durable
    assert read == [payload for group in groups for payload in group]
    assert ends == sorted(ends)


def test_segments_are_named_by_their_first_offset_and_end_near_the_bound(disk: Disk) -> None:
    disk.write(*[[b"x" * 1000]] * 20)
    bases = [int(path.stem) for path in disk.segments()]
    assert len(bases) > 3
    end = 0
    for path, base in zip(disk.segments(), bases, strict=True):
        assert base == end
        assert path.stat().st_size <= disk.segment_bytes + 1000 + FRAME_BYTES_MIN
        end = base + path.stat().st_size


def test_files_are_for_the_owner_only(disk: Disk) -> None:
    disk.write([b"prompt"])
    assert stat.S_IMODE(disk.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in disk.directory.iterdir()} == {0o600}


def test_the_reader_stays_behind_the_durable_offset(disk: Disk) -> None:
    ends = disk.write([b"a"], [b"b"], [b"c"])
    with JournalReader(disk.directory, 0) as reader:
        assert [frame.payload for frame in reader.read(ends[1], 1 << 20)] == [b"a", b"b"]
        assert reader.read(ends[1], 1 << 20) == []
        assert [frame.payload for frame in reader.read(ends[2], 1 << 20)] == [b"c"]
        with pytest.raises(JournalDamaged, match="move the windows away"):
            reader.read(ends[0], 1 << 20)


def test_arrival_time_never_goes_back_not_even_over_an_empty_journal(disk: Disk) -> None:
    disk.clock = ManualClock(100 * NS_PER_S)
    # The second group fills the first segment, the third opens the next one.
    ends = disk.write([b"a"], [b"x" * 5000], [b"b"])
    disk.clock = ManualClock(50 * NS_PER_S)
    disk.write(checkpoint=ends[-1])
    assert len(disk.segments()) == 1
    ends += disk.write([b"c"])
    [frame] = disk.frames(ends[-1], ends[-2])
    assert frame.arrival_ns == 100 * NS_PER_S
    disk.clock = ManualClock(200 * NS_PER_S)
    ends += disk.write([b"d"])
    assert disk.frames(ends[-1], ends[-2])[0].arrival_ns == 200 * NS_PER_S


async def test_callbacks_hear_of_every_durable_offset(disk: Disk) -> None:
    heard: list[int] = []
    async with disk.journal() as journal:
        journal.on_durable(heard.append)
        first = await journal.append(FrameKind.TRACES, b"a")
        assert heard == [first] == [journal.durable_offset]
        second = await journal.append(FrameKind.LOGS, b"b")
        assert heard == [first, second]
        assert disk.counters.value("halo.journal.bytes") == second
        journal.checkpoint(first)
        assert disk.counters.value("halo.journal.bytes") == second - first


async def test_frames_that_wait_together_are_synced_together(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.segment_bytes = 1 << 20
    syncs = 0
    sync = os.fdatasync

    def counted(fd: int) -> None:
        nonlocal syncs
        syncs += 1
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", counted)
    async with disk.journal() as journal:
        await asyncio.gather(*(journal.append(FrameKind.TRACES, b"x" * 100) for _ in range(500)))
    # All 500 are queued before the loop yields: one group, or two if the thread was quick.
    assert 1 <= syncs < 50


async def test_a_sender_that_goes_away_does_not_disturb_the_others(disk: Disk) -> None:
    async with disk.journal() as journal:
        gone = asyncio.ensure_future(journal.append(FrameKind.TRACES, b"gone"))
        stays = asyncio.ensure_future(journal.append(FrameKind.TRACES, b"stays"))
        await asyncio.sleep(0)
        gone.cancel()
        end = await stays
    assert [frame.payload for frame in disk.frames(end)] == [b"gone", b"stays"]


async def test_closing_writes_what_was_appended(disk: Disk) -> None:
    async with disk.journal() as journal:
        waiting = [
            asyncio.ensure_future(journal.append(FrameKind.TRACES, b"%d" % i)) for i in range(20)
        ]
        await asyncio.sleep(0)
    ends = await asyncio.gather(*waiting)
    assert len(disk.frames(ends[-1])) == 20
    with pytest.raises(JournalFailed, match="closed"):
        await journal.append(FrameKind.TRACES, b"late")


async def test_stopping_is_safe_twice_and_unstarted(disk: Disk) -> None:
    journal = disk.journal()
    await journal.__aexit__(None, None, None)
    async with journal:
        pass
    await journal.__aexit__(None, None, None)


async def test_a_full_journal_refuses_writes_nothing_and_recovers(disk: Disk) -> None:
    disk.max_bytes = 8192
    async with disk.journal() as journal:
        ends = [await journal.append(FrameKind.TRACES, b"x" * 3000) for _ in range(2)]
        full = [journal.full]
        with pytest.raises(JournalFull, match=r"journal.max_bytes is 8192"):
            await journal.append(FrameKind.TRACES, b"x" * 3000)
        full.append(journal.full)
        assert sum(path.stat().st_size for path in disk.segments()) == ends[-1]
        with pytest.raises(TooLarge, match=r"journal.max_bytes \(8192\)"):
            await journal.append(FrameKind.TRACES, b"x" * 9000)
        await journal.append(FrameKind.TRACES, b"")  # a small one still fits
        full.append(journal.full)
        journal.checkpoint(ends[0])
        assert [*full, journal.full] == [False, True, True, False]
        ends.append(await journal.append(FrameKind.TRACES, b"x" * 3000))
    assert len(disk.frames(ends[-1], ends[0])) == 3


async def test_frames_that_are_not_written_yet_count_against_the_bound(disk: Disk) -> None:
    disk.max_bytes = 8192
    async with disk.journal() as journal:
        results = await asyncio.gather(
            *(journal.append(FrameKind.TRACES, b"x" * 3000) for _ in range(5)),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [int, int, JournalFull, JournalFull, JournalFull]


class FullDisk:
    """`os.writev` on a disk with little room: a short write, then ENOSPC."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes
        self._writev = os.writev

    def writev(self, fd: int, buffers: Sequence[bytes | memoryview]) -> int:
        wanted = b"".join(buffers)
        if self.room_bytes == 0 and wanted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._writev(fd, [wanted[: self.room_bytes]])
        self.room_bytes -= written
        return written


@pytest.mark.parametrize("room_bytes", [0, 1, 29, 500, 4000])
async def test_a_full_disk_refuses_and_leaves_no_trace(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, room_bytes: int
) -> None:
    async with disk.journal() as journal:
        first = await journal.append(FrameKind.TRACES, b"first")
        full = FullDisk(room_bytes)
        monkeypatch.setattr(os, "writev", full.writev)
        with pytest.raises(JournalFull, match="free space on that disk"):
            await journal.append(FrameKind.TRACES, b"x" * 5000)
        assert journal.durable_offset == first
        assert sum(path.stat().st_size for path in disk.segments()) == first
        full.room_bytes = 1 << 20
        end = await journal.append(FrameKind.TRACES, b"after")
    assert [frame.payload for frame in disk.frames(end)] == [b"first", b"after"]
    assert await asyncio.to_thread(disk.recover) == end
    assert disk.counters.value("halo.journal.torn_bytes") == 0


@pytest.mark.parametrize("room_bytes", [0, 1, 27])
async def test_a_disk_too_full_for_a_new_segment_refuses_too(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, room_bytes: int
) -> None:
    async with disk.journal() as journal:
        await journal.append(FrameKind.TRACES, b"x" * 5000)
        full = FullDisk(room_bytes)
        monkeypatch.setattr(os, "writev", full.writev)
        with pytest.raises(JournalFull):
            await journal.append(FrameKind.TRACES, b"next")
        assert len(disk.segments()) == 1
        full.room_bytes = 1 << 20
        end = await journal.append(FrameKind.TRACES, b"after")
    assert [frame.payload for frame in disk.frames(end)][1:] == [b"after"]


async def test_on_a_full_disk_the_checkpoint_still_moves_and_frees_segments(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with disk.journal() as journal:
        ends = [await journal.append(FrameKind.TRACES, b"x" * 5000) for _ in range(3)]
        rename = os.rename

        def refuse(source: object, target: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "rename", refuse)
        journal.checkpoint(ends[1])
    monkeypatch.setattr(os, "rename", rename)
    assert read_checkpoint(disk.directory) == ends[1]
    assert [frame.end_offset for frame in disk.frames(ends[-1], ends[1])] == ends[2:]
    assert await asyncio.to_thread(disk.recover) == ends[-1]


async def test_after_a_failed_fsync_nothing_is_acknowledged_any_more(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with disk.journal() as journal:
        first = await journal.append(FrameKind.TRACES, b"first")
        fdatasync = os.fdatasync

        def fail(fd: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fdatasync", fail)
        results = await asyncio.gather(
            *(journal.append(FrameKind.TRACES, b"lost") for _ in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [JournalFailed] * 3
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        with pytest.raises(JournalFailed, match="restarted"):
            await journal.append(FrameKind.TRACES, b"later")
        with pytest.raises(JournalFailed, match="check the disk"):
            await journal.run()
    assert disk.payloads(first) == [b"first"]
    end = await asyncio.to_thread(disk.recover)
    assert end == first


def test_trimming_removes_whole_segments_below_the_checkpoint_only(disk: Disk) -> None:
    ends = disk.write(*[[b"%04d" % i + b"x" * 1000] for i in range(30)])
    for done in (0, 3, 4, 11, 29):
        disk.write(checkpoint=ends[done])
        assert read_checkpoint(disk.directory) == ends[done]
        left = disk.frames(ends[-1], ends[done])
        assert [frame.payload[:4] for frame in left] == [b"%04d" % i for i in range(done + 1, 30)]
        assert int(disk.segments()[0].stem) <= ends[done]
        assert len(disk.segments()) == 1 or int(disk.segments()[1].stem) > ends[done]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_reader_survives_trimming_behind_it_and_misses_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    disk = Disk(tmp_path_factory.mktemp("journal"))

    async def go() -> None:
        written: list[bytes] = []
        read: list[bytes] = []
        async with disk.journal() as journal:
            with JournalReader(disk.directory, 0) as reader:
                for _ in range(data.draw(st.integers(1, 30), label="steps")):
                    match data.draw(st.sampled_from(["write", "read", "trim"])):
                        case "write":
                            payload = data.draw(st.binary(max_size=3000))
                            await journal.append(FrameKind.TRACES, payload)
                            written.append(payload)
                        case "read":
                            frames = reader.read(journal.durable_offset, 4000)
                            read += [frame.payload for frame in frames]
                        case _:
                            journal.checkpoint(reader.offset)
                while frames := reader.read(journal.durable_offset, 4000):
                    read += [frame.payload for frame in frames]
        assert read == written

    asyncio.run(go())


async def test_checkpoints_are_written_seldom(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.segment_bytes = 1 << 20
    writes = 0
    rename = os.rename

    def counted(source: Path, target: Path) -> None:
        nonlocal writes
        writes += 1
        rename(source, target)

    monkeypatch.setattr(os, "rename", counted)
    async with disk.journal() as journal:
        for _ in range(200):
            end = await journal.append(FrameKind.TRACES, b"x" * 10_000)
            journal.checkpoint(end)
            journal.checkpoint(end - 1)  # not ahead: nothing happens
            assert journal.checkpoint_offset == end
    # 2 MB in segments of 1 MiB: at the start, when a segment can go, and at the end.
    assert 2 <= writes <= 4
    assert end == read_checkpoint(disk.directory)


async def test_a_checkpoint_the_journal_never_reached_is_an_error(disk: Disk) -> None:
    async with disk.journal() as journal:
        with pytest.raises(JournalDamaged, match="restore that directory"):
            journal.checkpoint(1 << 20)


async def test_one_directory_has_one_writer(disk: Disk) -> None:
    async with disk.journal():
        started_ns = disk.clock.now_ns()
        with pytest.raises(InUse, match=r"stop that one|storage\.directory"):
            async with disk.journal():
                pass
        assert disk.clock.now_ns() - started_ns == 5 * NS_PER_S
    async with disk.journal():
        pass


async def test_a_start_waits_for_a_dying_predecessor(disk: Disk) -> None:
    class Meanwhile(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            await first.__aexit__(None, None, None)

    first = disk.journal()
    await first.__aenter__()
    disk.clock = Meanwhile()
    async with disk.journal() as journal:
        await journal.append(FrameKind.TRACES, b"mine")


async def test_an_unusable_directory_is_a_config_error(disk: Disk) -> None:
    disk.directory.write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"journal\.directory: .* choose a directory"):
        async with disk.journal():
            pass


def test_short_writes_and_many_buffers_are_written_whole(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.directory.mkdir()
    path = disk.directory / "file"
    buffers = [bytes([i % 256]) * (i % 7) for i in range(3000)]
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: writev(fd, [b"".join(parts)[:11]]))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    disk_module.write_all(fd, buffers)
    os.close(fd)
    assert path.read_bytes() == b"".join(buffers)
