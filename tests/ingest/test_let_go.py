"""What can never be about an agent is let go at once, and counted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import FrameKind, JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile, logs, placeholder, traces

LOOSE, PLACEHOLDERS = "halo.ingest.let_go_log_records", "halo.ingest.superseded_spans"
Ingested = Callable[[sections.Keep, int], list[str]]


@pytest.fixture
def ingested(
    tmp_path: Path, journal: JournalFile, counters: Counters, clock: ManualClock
) -> Ingested:
    """Ingests the journal with a setting; the bodies of the log records stored."""

    def ingest(keep: sections.Keep, durable: int) -> list[str]:
        store = WindowStore(tmp_path / keep, sections.Window(keep=keep), counters)
        store.open()
        with JournalReader(journal.directory, 0) as reader:
            pump = Ingest(reader, store, counters, clock)
            while (checkpoint := pump.tick(durable)) is not None:
                assert checkpoint == durable
            assert pump.tick(durable) is None
        with store.view(0) as view:
            rows = view.con.execute("FROM log_records SELECT body ORDER BY body").fetchall()
        store.close()
        return [row[0] for row in rows]

    return ingest


@pytest.mark.parametrize(("keep", "stored"), [("agents", ['"b"', '"c"']), ("all", None)])
def test_records_of_no_trace_go_unless_they_are_genai_events(
    journal: JournalFile,
    ingested: Ingested,
    counters: Counters,
    keep: sections.Keep,
    stored: list[str] | None,
) -> None:
    journal.append(logs("a", event_name="e"), logs("b"), kind=FrameKind.LOGS)
    durable = journal.append(logs("c", event_name="e", trace=1), kind=FrameKind.LOGS)
    assert ingested(keep, durable) == (stored or ['"a"', '"b"', '"c"'])
    assert counters.value(LOOSE) == (1 if stored else 0)
    assert counters.value("halo.ingest.log_records") == len(stored or "abc")


def test_frames_of_which_all_is_let_go_move_the_checkpoint(
    journal: JournalFile, ingest: Ingest, store: WindowStore, counters: Counters
) -> None:
    durable = journal.append(logs("a", "b", event_name="e"), kind=FrameKind.LOGS)
    assert ingest.tick(durable) == durable
    assert store.windows() == []
    assert counters.value(LOOSE) == 2


@pytest.mark.parametrize("keep", ["agents", "all"])
def test_placeholders_are_left_out_whatever_is_kept(
    journal: JournalFile, ingested: Ingested, counters: Counters, keep: sections.Keep
) -> None:
    ingested(keep, journal.append(traces(1), placeholder(2)))
    assert counters.value(PLACEHOLDERS) == 1
    assert counters.value("halo.ingest.spans") == 1


def test_what_a_repeated_tick_leaves_out_is_counted_once(
    journal: JournalFile, ingest: Ingest, store: WindowStore, counters: Counters
) -> None:
    durable = journal.append(traces(1), placeholder(2))
    moved = store.directory.rename(store.directory.with_name("elsewhere"))
    with pytest.raises(Exception, match="cannot be written"):
        ingest.tick(durable)
    moved.rename(store.directory)
    assert ingest.tick(durable) == durable
    assert counters.value(PLACEHOLDERS) == 1
