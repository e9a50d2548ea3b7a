"""Disks that are full, read-only or not ours. A limit on the size of files stands for a full disk:
the system refuses the same calls, and it can be lifted."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.errors import JournalFull, Unwritable
from halo_otel.journal import FrameKind, Journal, JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.faults.conftest import all_ingested, engine_of, readiness, request, send, stored
from tests.path.conftest import Service, eventually
from tests.service.running import Service as Analysed
from tests.window.samples import NOON_NS, a_batch, a_span


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """No process of ours can make a file larger, for a while."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


async def test_a_full_disk_under_the_journal_refuses_and_keeps_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    config = sections.Journal(segment_bytes=1 << 16)
    async with Journal(tmp_path, config, ManualClock(), Counters()) as journal:
        await journal.append(FrameKind.TRACES, b"a" * 4000)
        with files_of_at_most(8192):
            with pytest.raises(JournalFull, match="free space on that disk"):
                await journal.append(FrameKind.TRACES, b"b" * 8000)
            await journal.append(FrameKind.TRACES, b"c" * 100)  # there is room for so little
        await journal.append(FrameKind.TRACES, b"d" * 8000)
        durable = journal.durable_offset
    with JournalReader(tmp_path, 0) as reader:
        payloads = [frame.payload for frame in reader.read(durable, 1 << 20)]
    assert payloads == [b"a" * 4000, b"c" * 100, b"d" * 8000]


def test_a_full_disk_under_the_windows_delays_and_loses_nothing(service: Service) -> None:
    service.start()
    engine = engine_of(service)
    resource.prlimit(engine, resource.RLIMIT_FSIZE, (64 << 10, resource.RLIM_INFINITY))
    for number in range(4):
        send(service, request(number * 100, 100, text=os.urandom(500).hex()))
    told = eventually(
        "it is told",
        lambda: next((r for r in [readiness(service)] if "cannot be written" in r[1]), None),
    )
    assert "Make room" in told[1]
    send(service, request(400, 100))  # still acknowledged
    all_ingested(service)  # the next engine has no such limit: there is room again
    assert not (service.storage / "windows" / "quarantine").exists()
    assert stored(service) == list(range(500))


@pytest.mark.parametrize("rows", [3_000, 5_000])
def test_rows_that_a_full_disk_refuses_are_not_blamed_for_it(tmp_path: Path, rows: int) -> None:
    """Fewer go by the write-ahead log, more into the file at once."""
    store = WindowStore(tmp_path, sections.Window(), Counters())
    store.open()
    store.insert(NOON_NS, a_batch(*map(a_span, range(6000))), 1)
    batch = a_batch(*map(a_span, range(10_000, 10_000 + rows)))
    with files_of_at_most(64 << 10), pytest.raises(Unwritable, match="File too large"):
        store.insert(NOON_NS, batch, 2)
    store.close()

    store.open()  # by the next engine, when there is room again
    store.insert(NOON_NS, batch, 2)
    assert [info.spans for info in store.windows()] == [6000 + rows]
    store.close()


def test_a_sound_window_is_not_set_aside_where_the_disk_is_full_at_the_start(
    tmp_path: Path,
) -> None:
    """Killed between sealing it and bringing its last rows from the write-ahead log into the file."""
    config = sections.Window(keep="all")
    killed, windows = tmp_path / "killed", tmp_path / "windows"
    store = WindowStore(killed, config, Counters())
    store.open()
    store.insert(NOON_NS, a_batch(*map(a_span, range(6000))), 1)
    store._files[0].seal(store._connection)
    shutil.copytree(killed, windows)
    store.close()
    assert list(windows.glob("*.wal"))

    counters = Counters()
    again = WindowStore(windows, config, counters)
    with (
        files_of_at_most(300 << 10),
        pytest.raises(Unwritable, match=r"File too large.*Make room"),
    ):
        again.open()
    assert not counters.value("halo.window.damaged")

    again.open()  # there is room again
    assert [info.spans for info in again.windows()] == [6000]
    again.close()


async def test_a_full_disk_under_the_registry_delays_findings_and_loses_none(
    tmp_path: Path,
) -> None:
    running = Analysed(tmp_path)
    await running.start()
    await running.window(failing=0)
    running.arrive(failing=15)
    running.pass_window()
    with files_of_at_most(4096):
        await running.analyst.tick(running.clock.now_ns())
    assert running.counters.value("halo.analysis.failed_runs") == 1
    assert running.findings("error") == []
    running.clock.advance(60)
    await running.analyst.tick(running.clock.now_ns())
    assert [finding.status for finding in running.findings("error")] == ["new"]
    await running.stop()


@pytest.mark.parametrize("room", ["journal", "windows"])
def test_a_directory_that_may_not_be_written_stops_the_start_with_its_name(
    service: Service, room: str
) -> None:
    directory = service.storage / room
    directory.mkdir(parents=True)
    directory.chmod(0o500)
    environ = {**os.environ, **service.settings}
    # The superuser may write everywhere unless it gives that up (capabilities(7)).
    ordinary = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    result = subprocess.run(
        [*ordinary, sys.executable, "-m", "halo_otel", "serve"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    directory.chmod(0o700)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert str(directory) in result.stderr.splitlines()[-1]
