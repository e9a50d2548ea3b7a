"""Frames into windows: exactly once, in bounded bites, sealed when the journal has passed."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.errors import HaloError, Unwritable
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import FrameKind, JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile, logs, traces


def span_rows(store: WindowStore, relation: str = "raw_spans") -> list[tuple[str, str, int]]:
    with store.view(0) as view:
        query = f'SELECT trace_id, span_id, "position" FROM {relation} ORDER BY ALL'
        return view.con.execute(query).fetchall()


def names(store: WindowStore) -> list[str]:
    with store.view(0) as view:
        rows = view.con.execute("SELECT name FROM spans ORDER BY end_ns").fetchall()
    return [row[0] for row in rows]


def run(ingest: Ingest, durable: int) -> list[int]:
    """Tick until nothing is left; the checkpoints."""
    checkpoints = []
    while (checkpoint := ingest.tick(durable)) is not None:
        checkpoints.append(checkpoint)
    return checkpoints


def test_what_is_durable_is_in_the_window(
    journal: JournalFile, ingest: Ingest, store: WindowStore, counters: Counters
) -> None:
    journal.append(traces(1, 2), traces(3))
    durable = journal.append(logs("a", "b"), kind=FrameKind.LOGS)
    assert run(ingest, durable) == [durable]
    assert names(store) == ["step 1", "step 2", "step 3"]
    assert store.resume_offset == durable
    (window,) = store.windows()
    assert (window.spans, window.log_records) == (3, 2)
    assert counters.value("halo.ingest.spans") == 3
    assert counters.value("halo.ingest.log_records") == 2
    assert ingest.tick(durable) is None


def test_what_is_not_durable_is_not_read(
    journal: JournalFile, ingest: Ingest, store: WindowStore
) -> None:
    durable = journal.append(traces(1))
    journal.append(traces(2))
    assert run(ingest, durable) == [durable]
    assert names(store) == ["step 1"]


def test_a_tick_takes_a_bounded_bite_and_never_less_than_a_frame(
    journal: JournalFile, store: WindowStore, counters: Counters, clock: ManualClock
) -> None:
    durable = journal.append(traces(1), traces(2, text="x" * 5000), traces(3))
    with JournalReader(journal.directory, 0) as reader:
        ingest = Ingest(reader, store, counters, clock, tick_bytes_max=10)
        checkpoints = run(ingest, durable)
    assert len(checkpoints) == 3
    assert checkpoints == sorted(checkpoints)
    assert checkpoints[-1] == durable
    assert len(names(store)) == 3


def test_a_span_sent_twice_is_seen_once(
    journal: JournalFile, ingest: Ingest, store: WindowStore, clock: ManualClock
) -> None:
    journal.append(traces(1, 2))
    clock.advance(400)
    durable = journal.append(traces(2), traces(1, 1))
    run(ingest, durable)
    assert len(store.windows()) == 2
    assert names(store) == ["step 1", "step 2"]
    rows = span_rows(store)
    assert len(rows) == 5
    assert len({position for _, _, position in rows}) == 5


def test_a_window_is_sealed_when_a_later_frame_comes(
    journal: JournalFile, ingest: Ingest, store: WindowStore, clock: ManualClock
) -> None:
    journal.append(traces(1))
    clock.advance(300)
    durable = journal.append(traces(2))
    clock.leap(-250)  # what the engine's clock says does not matter then
    run(ingest, durable)
    assert [(w.state, w.spans) for w in store.windows()] == [("sealed", 1), ("open", 1)]


def test_a_window_is_sealed_by_the_clock_only_when_nothing_is_left_to_read(
    journal: JournalFile, store: WindowStore, counters: Counters, clock: ManualClock
) -> None:
    durable = journal.append(traces(1), traces(2))
    end_ns = 0
    with JournalReader(journal.directory, 0) as reader:
        ingest = Ingest(reader, store, counters, clock, tick_bytes_max=10)
        clock.advance(1000)
        assert ingest.tick(durable) is not None
        assert [w.state for w in store.windows()] == ["open"]
        assert counters.value("halo.window.lag_seconds") == 1000
        assert ingest.tick(durable) == durable
        assert [w.state for w in store.windows()] == ["sealed"]
        assert counters.value("halo.window.lag_seconds") == 0
        end_ns = store.windows()[0].end_ns
    assert clock.now_ns() >= end_ns


def test_an_open_window_is_not_sealed_before_its_end(
    journal: JournalFile, ingest: Ingest, store: WindowStore, clock: ManualClock
) -> None:
    durable = journal.append(traces(1))
    run(ingest, durable)
    left_s = (store.windows()[0].end_ns - clock.now_ns()) / 10**9
    clock.advance(left_s - 0.001)
    assert ingest.tick(durable) is None
    assert [w.state for w in store.windows()] == ["open"]
    clock.advance(0.001)
    assert ingest.tick(durable) is None
    assert [w.state for w in store.windows()] == ["sealed"]


def test_a_clock_that_was_set_back_loses_nothing(
    journal: JournalFile, ingest: Ingest, store: WindowStore, clock: ManualClock
) -> None:
    run(ingest, journal.append(traces(1)))
    clock.advance(3600)
    run(ingest, journal.append(traces(2)))
    clock.leap(-3600)
    run(ingest, journal.append(traces(3)))
    assert names(store) == ["step 1", "step 2", "step 3"]


def test_retention_runs_with_the_ticks(
    journal: JournalFile, ingest: Ingest, store: WindowStore, clock: ManualClock, counters: Counters
) -> None:
    durable = journal.append(traces(1))
    run(ingest, durable)
    clock.advance(2 * 86400)
    assert ingest.tick(durable) is None
    clock.advance(3600)
    assert ingest.tick(durable) is None
    assert store.windows() == []
    assert counters.value("halo.window.expired") == 1
    assert store.resume_offset == durable


def test_an_undecodable_frame_is_kept_aside_and_the_others_go_on(
    journal: JournalFile,
    ingest: Ingest,
    store: WindowStore,
    counters: Counters,
) -> None:
    durable = journal.append(b"\xff\xff", traces(1), b"\xff\xfe", b"\xff\xfd")
    assert run(ingest, durable) == [durable]
    assert names(store) == ["step 1"]
    assert counters.value("halo.ingest.undecodable_frames") == 3
    kept = sorted((store.directory / "quarantine").iterdir(), key=lambda path: int(path.stem))
    assert [path.read_bytes() for path in kept] == [b"\xff\xff", b"\xff\xfe", b"\xff\xfd"]
    assert {path.suffix for path in kept} == {".traces"}


def test_frames_without_rows_move_the_checkpoint(
    journal: JournalFile, ingest: Ingest, store: WindowStore
) -> None:
    durable = journal.append(b"", b"")
    assert run(ingest, durable) == [durable]
    assert store.windows() == []


def test_windows_of_another_journal_are_noticed(
    journal: JournalFile, store: WindowStore, counters: Counters, clock: ManualClock, tmp_path: Path
) -> None:
    durable = journal.append(traces(1), traces(2))
    with JournalReader(journal.directory, 0) as reader:
        run(Ingest(reader, store, counters, clock), durable)
    other = JournalFile(tmp_path / "other", clock)
    with JournalReader(other.directory, 0) as reader:
        with pytest.raises(HaloError, match="move the windows"):
            Ingest(reader, store, counters, clock).tick(other.durable)


def test_a_tick_that_failed_can_be_repeated(
    journal: JournalFile, ingest: Ingest, store: WindowStore
) -> None:
    durable = journal.append(traces(1), traces(2))
    moved = store.directory.rename(store.directory.with_name("elsewhere"))
    with pytest.raises(Unwritable):
        ingest.tick(durable)
    moved.rename(store.directory)
    assert run(ingest, durable) == [durable]
    assert names(store) == ["step 1", "step 2"]


frames = st.lists(
    st.tuples(
        st.lists(st.integers(0, 9), max_size=3, unique=True),  # spans
        st.sampled_from([0, 0, 0, 1, 200, 400, -100]),  # seconds since the frame before
    ),
    min_size=1,
    max_size=8,
)


starts = st.tuples(
    st.integers(0, 8),  # how far the journal is durable by then, in frames
    st.sampled_from([0.0, 0.5, 1.0]),  # where between 0 and the windows' offset the reader starts
    st.sampled_from([1, 60, 10_000]),  # the bite of a tick
    st.integers(1, 4),  # ticks until the process dies
)


@settings(max_examples=15, deadline=None)
@given(frames, st.lists(starts, max_size=3))
def test_any_ticks_and_restarts_give_each_frame_exactly_once(
    frames: list[tuple[list[int], int]], starts: list[tuple[int, float, int, int]]
) -> None:
    with TemporaryDirectory() as name:
        clock = ManualClock()
        journal = JournalFile(Path(name) / "journal", clock)
        ends = [0, *journal.append_over_time([(traces(*spans), after) for spans, after in frames])]
        for durable_frames, share, bite, ticks in [*starts, (8, 1.0, 10_000, 20)]:
            store = WindowStore(Path(name) / "windows", sections.Window(), Counters())
            store.open()
            durable = max(store.resume_offset, ends[min(durable_frames, len(frames))])
            read = [end for end in ends if end <= store.resume_offset]
            start = read[round(share * (len(read) - 1))]
            with JournalReader(journal.directory, start) as reader:
                ingest = Ingest(reader, store, Counters(), clock, tick_bytes_max=bite)
                for _ in range(ticks):
                    ingest.tick(durable)
            rows, seen = span_rows(store), span_rows(store, "spans")
            store.close()
        sent = [(f"{1:032x}", f"{n + 1:016x}") for numbers, _ in frames for n in numbers]
        assert sorted((trace, span) for trace, span, _ in rows) == sorted(sent)
        assert len({position for _, _, position in rows}) == len(rows)
        assert [(trace, span) for trace, span, _ in seen] == sorted(set(sent))
