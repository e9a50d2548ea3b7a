"""What a view shows: each span once, as of one moment, whatever happens meanwhile."""

import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.errors import NotFound
from halo_otel.model.span import Resource
from halo_otel.selfobs import Counters
from halo_otel.window.schema import TABLES, Columns
from halo_otel.window.single import SingleWindow
from halo_otel.window.store import WindowStore
from halo_otel.window.tables import arrow_table
from halo_otel.window.view import View
from tests.window.samples import BOOKING, NOON_NS, a_batch, a_span

LENGTH_NS = 300 * NS_PER_S


def names(view: View, relation: str = "spans") -> list[str]:
    rows = view.con.execute(f"SELECT name FROM {relation} ORDER BY name").fetchall()
    return [row[0] for row in rows]


sent = st.tuples(
    st.integers(1, 2),  # trace
    st.integers(1, 3),  # span
    st.integers(0, 2),  # end
    st.integers(0, 2),  # window
)


@settings(max_examples=20, deadline=None)
@given(st.lists(sent, max_size=8), st.booleans())
def test_each_span_once_the_latest_end_then_the_latest_arrival(
    sendings: list[tuple[int, int, int, int]], seal: bool
) -> None:
    with TemporaryDirectory() as directory:
        store = WindowStore(Path(directory), sections.Window(), Counters())
        store.open()
        expected: dict[tuple[str, str], tuple[int, int]] = {}
        for position, (trace, number, end, window) in enumerate(sendings):
            span = a_span(number, trace, end_ns=NOON_NS + end)
            batch = a_batch(span, position=position)
            store.insert(NOON_NS + window * LENGTH_NS, batch, position + 1)
            key = (span.trace_id, span.span_id)
            expected[key] = max(expected.get(key, (0, 0)), (span.end_ns, position))
        if seal:
            store.seal_before(NOON_NS + LENGTH_NS)
        with store.view(NOON_NS) as view:
            query = 'SELECT trace_id, span_id, end_ns, "position" FROM spans'
            rows = view.con.execute(query).fetchall()
            assert sorted(rows) == sorted((*key, *value) for key, value in expected.items())
            assert len(names(view, "raw_spans")) == len(sendings)
        store.close()


def test_only_windows_that_overlap_the_asked_time(store: WindowStore) -> None:
    for number in range(3):
        store.insert(NOON_NS + number * LENGTH_NS, a_batch(a_span(number)), number + 1)
    with store.view(NOON_NS + LENGTH_NS, NOON_NS + 2 * LENGTH_NS) as view:
        assert names(view) == ["step 1"]
        assert [window.start_ns for window in view.windows] == [NOON_NS + LENGTH_NS]
    with store.view(NOON_NS + LENGTH_NS - 1) as view:
        assert names(view) == ["step 0", "step 1", "step 2"]


def test_a_view_over_nothing_has_every_relation(store: WindowStore) -> None:
    with store.view(0) as view:
        for relation in ("raw_spans", "spans", "log_records", "resources", "scopes"):
            result = view.con.execute(f"SELECT * FROM {relation}")
            table = "spans" if relation == "raw_spans" else relation
            assert [column[0] for column in result.description] == list(TABLES[table])
            assert result.fetchall() == []
        assert view.traces_last_arrival() == []
        assert view.trace_spans("0" * 31 + "1") == []


def test_a_view_stays_as_it_was(store: WindowStore) -> None:
    store.insert(NOON_NS, a_batch(a_span(1), a_span(2)), 1)
    with store.view(0) as view:
        store.insert(NOON_NS, a_batch(a_span(2, end_ns=NOON_NS + 99), a_span(3), position=9), 2)
        store.insert(NOON_NS + LENGTH_NS, a_batch(a_span(4)), 3)
        assert names(view) == names(view, "raw_spans") == ["step 1", "step 2"]
        store.seal_before(NOON_NS + 2 * LENGTH_NS)
        assert names(view) == ["step 1", "step 2"]
    with store.view(0) as view:
        assert names(view) == ["step 1", "step 2", "step 3", "step 4"]


def test_views_do_not_see_each_others_temporary_tables(store: WindowStore) -> None:
    with store.view(0) as first, store.view(0) as second:
        first.con.execute("CREATE TEMP TABLE mine AS SELECT 1 AS x")
        second.con.execute("CREATE TEMP TABLE mine AS SELECT 2 AS x")
        assert first.con.execute("FROM mine").fetchall() == [(1,)]


def test_a_resource_is_found_by_id_and_shown_once_over_windows(store: WindowStore) -> None:
    store.insert(NOON_NS, a_batch(a_span(1)), 1)
    other = Resource(attributes={"service.name": "search", "key": b"\x00\xff", "none": None})
    store.insert(NOON_NS + LENGTH_NS, a_batch(a_span(2), a_span(3, resource=other)), 2)
    with store.view(0) as view:
        ids = view.con.execute("SELECT resource_id, service FROM spans").fetchall()
        found = {service: view.resource_of(resource_id) for resource_id, service in ids}
        assert found == {"booking": BOOKING, "search": other}
        assert view.con.execute("SELECT count(*) FROM resources").fetchall() == [(2,)]
        with pytest.raises(NotFound, match="resource_id 5"):
            view.resource_of(5)


def test_arrivals_of_traces(store: WindowStore) -> None:
    store.insert(NOON_NS, a_batch(a_span(1), a_span(9, trace=2), arrival_ns=NOON_NS + 5), 1)
    store.insert(NOON_NS, a_batch(a_span(2), arrival_ns=NOON_NS + 7), 2)
    with store.view(0) as view:
        arrivals = [
            (
                int(a.trace_id, 16),
                a.first_arrival_ns - NOON_NS,
                a.last_arrival_ns - NOON_NS,
                a.spans,
            )
            for a in view.traces_last_arrival()
        ]
    assert arrivals == [(1, 5, 7, 2), (2, 5, 5, 1)]


def test_a_trace_comes_back_in_order(store: WindowStore) -> None:
    spans = [a_span(number, trace=2, links=()) for number in range(3)]
    store.insert(NOON_NS, a_batch(*reversed(spans), a_span(7, trace=1)), 1)
    with store.view(0) as view:
        assert view.trace_spans(spans[0].trace_id) == spans


def test_a_view_reads_only_windows(store: WindowStore) -> None:
    with store.view(0) as view, pytest.raises(duckdb.PermissionException):
        view.con.execute("SELECT * FROM read_text('/etc/hostname')")


def test_views_while_rows_come_in_and_windows_are_sealed_and_expire(
    open_store: Callable[..., WindowStore],
) -> None:
    store = open_store(length=1, retention=3)
    done = threading.Event()
    failures: list[BaseException] = []
    seen: list[int] = []

    def read() -> None:
        try:
            while not done.is_set():
                with store.view(0) as view:
                    first = view.con.execute("SELECT count(*) FROM spans").fetchall()
                    expected = sum(window.spans for window in view.windows)
                    again = view.con.execute("SELECT count(*) FROM raw_spans").fetchall()
                    assert first == again == [(expected,)]
                    seen.append(expected)
        except BaseException as error:
            failures.append(error)
            raise

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(60):
            now_ns = NOON_NS + number * NS_PER_S // 4
            store.insert(store.start_of(now_ns), a_batch(a_span(number)), number + 1)
            store.seal_before(now_ns)
            store.expire(now_ns)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert seen


def columns_with(**values: object) -> Columns:
    columns = a_batch(a_span(1)).spans
    return columns | {name: [value] for name, value in values.items()}


def test_values_no_column_can_hold_are_bent_not_lost(store: WindowStore) -> None:
    table = arrow_table(
        "spans",
        columns_with(input_tokens=10**30, output_tokens=-(10**30), name="a\ud800b", flags=-1),
    )
    row = table.to_pylist()[0]
    assert (row["input_tokens"], row["output_tokens"]) == (2**63 - 1, -(2**63))
    assert (row["name"], row["flags"]) == ("a\ufffdb", 0)


def test_a_window_offline_shows_what_was_inserted() -> None:
    with SingleWindow() as window:
        with window.view() as view:
            assert names(view) == []
        window.insert(a_batch(a_span(1), a_span(2), arrival_ns=NOON_NS + 5))
        window.insert(a_batch(a_span(2, end_ns=NOON_NS + 99, name="last"), arrival_ns=NOON_NS + 3))
        with window.view() as view:
            assert names(view) == ["last", "step 1"]
            assert view.resource_of(view.con.execute("FROM resources").fetchall()[0][0]) == BOOKING
            (info,) = view.windows
        assert (info.start_ns, info.end_ns, info.spans) == (NOON_NS + 3, NOON_NS + 6, 3)


def test_a_window_offline_leaves_no_files_behind(tmp_path: Path) -> None:
    with SingleWindow(tmp_path) as window:
        window.insert(a_batch(a_span(1)))
        assert list(tmp_path.iterdir()) != []
    assert list(tmp_path.iterdir()) == []
