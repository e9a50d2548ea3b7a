"""Clocks that leap: nothing is lost, and nothing is deleted for a time that was wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile, traces

YEAR_S = 365 * 86400.0


class Running:
    """Ingest whose clock is moved; `passes` lets it go as clocks do, a minute at a time."""

    def __init__(self, directory: Path, reader: JournalReader, journal: JournalFile) -> None:
        self.clock = ManualClock()
        self.journal = journal
        self.store = WindowStore(directory, sections.Window(), Counters())
        self.store.open()
        self.ingest = Ingest(reader, self.store, Counters(), self.clock)
        self.durable = journal.durable

    def arrives(self, number: int) -> None:
        leap_ns = self.clock.now_ns() - self.journal.clock.now_ns()
        self.journal.clock.advance(leap_ns / 10**9)
        self.durable = self.journal.append(traces(number))
        self.ticks()

    def ticks(self) -> None:
        while self.ingest.tick(self.durable) is not None:
            pass

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / 60)):
            self.clock.advance(60)
            self.ticks()

    @property
    def names(self) -> list[str]:
        with self.store.view(0) as view:
            rows = view.con.execute("SELECT name FROM spans ORDER BY end_ns").fetchall()
        return [row[0] for row in rows]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    journal = JournalFile(tmp_path / "journal", ManualClock())
    with JournalReader(journal.directory, 0) as reader:
        running = Running(tmp_path / "windows", reader, journal)
        yield running
        running.store.close()


def test_a_leap_forward_that_is_set_right_deletes_nothing(running: Running) -> None:
    running.arrives(1)
    running.passes(900)
    running.clock.advance(YEAR_S)
    running.arrives(2)
    running.passes(1800)
    running.clock.advance(-YEAR_S)
    running.passes(7200)
    assert running.names == ["step 1", "step 2"]


def test_a_leap_forward_that_lasts_is_believed(running: Running) -> None:
    running.arrives(1)
    running.passes(900)
    running.clock.advance(YEAR_S)
    running.ticks()
    assert running.names == ["step 1"]
    running.passes(3600)
    assert running.store.windows() == []


def test_a_leap_back_deletes_nothing_and_takes_what_arrives(running: Running) -> None:
    running.arrives(1)
    running.passes(900)
    running.clock.advance(-YEAR_S)
    running.arrives(2)
    running.passes(900)
    running.arrives(3)
    assert running.names == ["step 1", "step 2", "step 3"]
