"""Journals, stores and values of every kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> JournalFile:
    return JournalFile(tmp_path / "journal", clock)


@pytest.fixture
def store(tmp_path: Path, counters: Counters) -> Iterator[WindowStore]:
    store = WindowStore(tmp_path / "windows", sections.Window(), counters)
    store.open()
    yield store
    store.close()


@pytest.fixture
def ingest(
    journal: JournalFile, store: WindowStore, counters: Counters, clock: ManualClock
) -> Iterator[Ingest]:
    with JournalReader(journal.directory, 0) as reader:
        yield Ingest(reader, store, counters, clock)
