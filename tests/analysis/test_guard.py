"""A run that takes too long or too much is ended, and the next one goes on."""

import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from halo_otel.analysis.guard import Guard
from halo_otel.analysis.scheduler import Scheduler
from halo_otel.config import machine, sections
from halo_otel.errors import RunEnded
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.analysis.conftest import Traffic, batch

ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE hash(a, b) = 1"
GIB = 1 << 30


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as con:
        yield con


@pytest.mark.parametrize(
    ("settings", "used_bytes", "limit"),
    [
        (sections.Analysis(timeout=0.05), 0, "analysis.timeout"),
        (sections.Analysis(memory_limit=GIB), GIB + 1, "analysis.memory_limit"),
    ],
)
def test_a_query_without_end_is_ended(
    con: duckdb.DuckDBPyConnection,
    settings: sections.Analysis,
    used_bytes: int,
    limit: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "rss_bytes", lambda: used_bytes)
    guard = Guard(settings)
    with pytest.raises(RunEnded, match=limit) as ended, guard.watching(con, 7):
        con.execute(ENDLESS)
    assert ended.value.limit == limit
    assert guard.spans == 7
    assert con.execute("SELECT 1").fetchone() == (1,)
    assert "guard" not in {thread.name for thread in threading.enumerate()}


def test_what_duckdb_has_no_memory_for_is_ended_too(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("SET memory_limit = '20MB'; SET temp_directory = ''")
    with (
        pytest.raises(RunEnded, match=r"window\.memory_limit"),
        Guard(sections.Analysis()).watching(con, 1),
    ):
        con.execute("CREATE TABLE t AS SELECT range AS a, hash(range) AS b FROM range(50000000)")


def test_what_is_within_its_limits_is_left_alone(con: duckdb.DuckDBPyConnection) -> None:
    with Guard(sections.Analysis()).watching(con, 1):
        assert con.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(ZeroDivisionError), Guard(sections.Analysis()).watching(con, 1):
        print(1 / 0)


def test_after_a_run_that_was_ended_the_next_ones_begin_small(
    tmp_path: Path, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trace of 1,500 spans and one of 10, which is newer; memory is short for the first run."""
    big, small = traffic.run(), traffic.run()
    for number in range(500):
        big.call("fetch", {"n": number}, "x").turn()
    small.call("fetch", {"n": 1}, "x")
    counters = Counters()
    store = WindowStore(tmp_path, sections.Window(length=300), counters)
    store.open()
    now_ns = 1_700_000_000_000_000_000
    rows = [{**row, "arrival_ns": now_ns, "position": n} for n, row in enumerate(big.rows)]
    rows += [{**row, "arrival_ns": now_ns + 1, "position": n} for n, row in enumerate(small.rows)]
    store.insert(store.start_of(now_ns), batch(rows), 1)
    settings = sections.Analysis(memory_limit=128 << 20, trace_settle=0)
    monkeypatch.setattr(machine, "rss_bytes", lambda: GIB)
    scheduler = Scheduler(store, settings, counters)
    with pytest.raises(RunEnded):
        scheduler.run_now(now_ns + 10)
    assert counters.value("halo.analysis.ended_runs", limit="analysis.memory_limit") == 1
    assert counters.value("halo.analysis.runs", trigger="demand") == 0
    monkeypatch.setattr(machine, "rss_bytes", lambda: 0)
    judged = [
        [judgement.trace_id for judgement in scheduler.run_now(now_ns + 10).run.judged]
        for _ in range(2)
    ]
    store.close()
    assert len(rows) > 1000
    assert judged == [[small.trace_id], [big.trace_id]]
    assert counters.value("halo.analysis.spans_unseen") == len(big.rows)
