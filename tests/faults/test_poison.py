"""Requests that kill whoever stores them: set aside with their bytes, and the others go on."""

import resource
from functools import partial
from pathlib import Path

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.ingest.trial import Trial
from halo_otel.journal import Frame, FrameKind, JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.faults.conftest import all_ingested, children, engine_of, request, send, stored
from tests.ingest.frames import JournalFile, traces
from tests.path.conftest import Service, eventually

ROOM_BYTES = 200 << 20  # what the engine may take beyond what it has after a small request


def frame(offset: int) -> Frame:
    return Frame(
        offset=offset, end_offset=offset + 10, kind=FrameKind.TRACES, arrival_ns=0, payload=b""
    )


def _has_ended(front: int, engine: int) -> bool:
    return engine not in children(front)


def address_space_bytes(pid: int) -> int:
    """The size of a process's memory as it sees it (proc(5), statm)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[0])
    return pages * resource.getpagesize()


def test_a_request_that_takes_all_memory_is_set_aside_after_two_deaths(service: Service) -> None:
    service.environ["HALO_WINDOW_THREADS"] = "1"
    service.environ["HALO_RECEIVERS_OTLP_MAX_ITEMS_PER_REQUEST"] = "1000000"
    service.start()
    send(service, request(0, 10))
    all_ingested(service)
    popen = service.process.popen
    assert popen is not None
    limit = address_space_bytes(engine_of(service)) + ROOM_BYTES
    poison = request(1000, 400_000)
    for death in range(2):
        engine = engine_of(service)  # a second one imports for a second before it decodes
        resource.prlimit(engine, resource.RLIMIT_AS, (limit, limit))
        if death == 0:
            send(service, poison)
        eventually("it ends", partial(_has_ended, popen.pid, engine))
    send(service, request(10, 10))
    all_ingested(service)
    assert service.metric("halo_engine_restarts_total") >= 2  # memory may end elsewhere, too
    eventually("it is counted", lambda: service.metric("halo_ingest_undecodable_frames_total") == 1)
    (kept,) = (service.storage / "windows" / "quarantine").iterdir()
    assert kept.suffix == ".traces"
    assert kept.read_bytes() == poison.SerializeToString()
    assert stored(service) == list(range(20))


@pytest.mark.parametrize(("successor", "alone_after", "deaths"), [(True, 1, 2), (False, 5, 10)])
def test_who_was_alone_under_way_at_each_death_is_guilty(
    tmp_path: Path, successor: bool, alone_after: int, deaths: int
) -> None:
    for death in range(deaths):
        trial = Trial(tmp_path, successor=successor)
        assert trial.suspects(frame(20)) == (death >= alone_after)
        assert not trial.convicts(frame(20))
        # At first it is one of a group; then it goes alone.
        alone = death >= alone_after
        trial.begin([frame(20)] if alone else [frame(10), frame(20), frame(30)])
    trial = Trial(tmp_path, successor=successor)
    assert [trial.convicts(frame(n)) for n in (10, 20, 30)] == [False, True, False]


def test_who_is_done_is_no_suspect(tmp_path: Path) -> None:
    trial = Trial(tmp_path, successor=False)
    trial.begin([frame(10)])
    trial.end()
    assert not Trial(tmp_path, successor=True).suspects(frame(10))


def test_a_start_that_ends_before_it_stores_anything_is_no_death_of_a_request(
    tmp_path: Path,
) -> None:
    Trial(tmp_path, successor=True).begin([frame(10)])
    for _ in range(10):
        trial = Trial(tmp_path, successor=True)
    assert not trial.convicts(frame(10))


def test_one_that_stored_a_request_between_two_deaths_is_not_guilty(tmp_path: Path) -> None:
    Trial(tmp_path, successor=True).begin([frame(10), frame(20)])
    trial = Trial(tmp_path, successor=True)
    trial.begin([frame(10)])
    trial.end()
    trial.begin([frame(20)])
    trial.end()
    trial.begin([frame(30)])
    assert not Trial(tmp_path, successor=True).convicts(frame(30))


def test_the_quarantine_is_bounded_and_what_it_does_not_take_is_counted(tmp_path: Path) -> None:
    clock, counters = ManualClock(), Counters()
    journal = JournalFile(tmp_path / "journal", clock)
    durable = journal.append(b"\xff" * 600, traces(1), b"\xfe" * 600, b"\xff" * 300)
    settings = sections.Window(quarantine_bytes=1000)
    store = WindowStore(tmp_path / "windows", settings, counters)
    store.open()
    with JournalReader(journal.directory, 0) as reader:
        assert Ingest(reader, store, counters, clock).tick(durable) == durable
    store.close()
    kept = list((tmp_path / "windows" / "quarantine").iterdir())
    assert sum(file.stat().st_size for file in kept) == 900
    assert counters.value("halo.ingest.spans") == 1
    assert counters.value("halo.ingest.undecodable_frames") == 3
    assert counters.value("halo.ingest.unkept_frames") == 1
