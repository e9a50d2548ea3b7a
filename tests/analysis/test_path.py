"""The critical path: who was waited for."""

from contextlib import ExitStack
from functools import cache

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.change.compare import compare_views
from halo_otel.analysis.frame import path
from halo_otel.config import sections
from halo_otel.model.comparison import Slower
from halo_otel.reports.comparison import render
from tests.analysis.conftest import MS, Row, Traffic, findings_in, judged, view_of

# start, end, place of the parent (at least the own place: a root)
Spans = list[tuple[int, int, int]]


@cache
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def paths_of(spans: Spans) -> dict[int, tuple[int, int]]:
    """By span its own time on the path, and the time on the path of all below it with it."""
    con = connection()
    con.execute("drop table if exists frame_path")
    rows = ", ".join(
        f"(0, {s}, {start}, {end}, {parent if parent < s else 'null'})"
        for s, (start, end, parent) in enumerate(spans)
    )
    con.execute(
        "create or replace temp table frame_span as"
        f" select * from (values {rows}) as told(t, s, start_ns, end_ns, p)"
    )
    path.build(con)
    told = con.execute("select s, on_path_ns, through_ns from frame_path").fetchall()
    return {s: (own, through) for s, own, through in told}


def on_path(spans: Spans) -> list[int]:
    return [own for _, (own, _) in sorted(paths_of(spans).items())]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 100, 0), (10, 40, 0), (50, 90, 0)], [30, 30, 40]),  # one after the other
        ([(0, 100, 0), (10, 90, 0), (20, 80, 0)], [20, 80, 0]),  # hidden behind a longer one
        (
            [(0, 100, 0), (0, 60, 0), (10, 90, 0)],
            [20, 0, 80],
        ),  # the one that ends last was waited for
        ([(0, 100, 0), (10, 52, 0), (50, 90, 0)], [20, 40, 40]),  # a stream that overlaps its call
        ([(0, 100, 0), (10, 90, 0), (20, 60, 1), (30, 80, 1)], [20, 30, 0, 50]),  # below as well
        ([(0, 100, 0), (0, 90, 0), (50, 100, 0), (10, 40, 1)], [0, 20, 50, 30]),
        ([(0, 100, 0), (80, 120, 0)], [80, 20]),  # reaches out of its parent
        ([(0, 100, 0), (90, 500, 0)], [100, 410]),  # was not waited for, or has another clock
        ([(0, 100, 0), (700, 800, 0)], [100, 100]),
        ([(0, 100, 9), (20, 70, 9)], [100, 50]),  # two roots
        ([(0, 0, 0), (0, 70, 0)], [0, 70]),  # a parent that ended at once
        ([(0, 50, 0), (0, 50, 0), (0, 50, 1)], [0, 0, 50]),
    ],
)
def test_the_span_that_ended_last_was_waited_for(spans: Spans, expected: list[int]) -> None:
    assert on_path(spans) == expected


moments = st.integers(0, 60)
some_spans = st.lists(st.tuples(moments, moments, st.integers(0, 14)), min_size=1, max_size=14).map(
    lambda drawn: [(min(a, b), max(a, b), p) for a, b, p in drawn]
)


@given(some_spans)
def test_a_root_s_path_lasts_as_long_as_the_root(spans: Spans) -> None:
    told = paths_of(spans)
    families = connection().sql(path._FAMILIES).fetchall()
    assert sorted(told) == list(range(len(spans)))
    parents = {s: p for s, p, _, _ in families}
    below = dict.fromkeys(told, 0)
    for s in sorted(told):
        root = s
        while parents[root] >= 0:
            root = parents[root]
        below[root] += told[s][0]
        duration = spans[s][1] - spans[s][0]
        children = sum(told[c][1] for c, p in parents.items() if p == s)
        assert 0 <= told[s][0] <= told[s][1] <= duration
        assert told[s][1] == told[s][0] + children
    for s, p in parents.items():
        if p < 0:
            assert below[s] == spans[s][1] - spans[s][0]


@given(some_spans, st.integers(1, 10**15))
def test_only_relative_times_matter(spans: Spans, later: int) -> None:
    moved = [(start + later, end + later, parent) for start, end, parent in spans]
    assert on_path(moved) == on_path(spans)


def looping(traffic: Traffic, *, behind_ms: int) -> float:
    """Runs that repeat a call, beside another call of so many milliseconds; seconds wasted by the repeats."""
    traffic.healthy(30)
    for number in range(6):
        run = traffic.run()
        begin_ns = run.now_ns
        for _ in range(5):
            run.call("search", {"q": "same"}, "nothing", ms=1000)
        if behind_ms:
            end_ns = run.now_ns
            run.now_ns = begin_ns
            run._add(
                "execute_tool build",
                "tool",
                tool_name="build",
                tool_arguments=f'{{"n": {number}}}',
                tool_result=f"built {number}",
                ms=(end_ns - begin_ns) / MS + behind_ms,
            )
    (loop,) = findings_in(traffic, "loop")
    assert loop.impact.traces_affected == 6
    return loop.impact.seconds_wasted


def test_extra_work_behind_parallel_work_costs_nobody_time() -> None:
    assert looping(Traffic(), behind_ms=0) > 6 * 4 * 1
    assert looping(Traffic(), behind_ms=100) == 0


def test_waste_counts_what_is_below_the_call(traffic: Traffic) -> None:
    for _ in range(4):
        run = traffic.run()
        for _ in range(4):
            run.call("search", {"q": "same"}, "nothing", ms=1)
            run.child(str(run.span["span_id"]), "POST", ms=2000)
            run.now_ns = int(str(run.span["end_ns"])) + MS
    (loop,) = [hit for one in judged(traffic.rows)[:1] for hit in one.hits]
    assert loop.waste.ns >= 3 * 2000 * MS


def runs(
    seed: int, *, tool_ms: float = 300, turn_ms: float = 400, behind_ms: float = 0, calls: int = 2
) -> list[Row]:
    traffic = Traffic(seed)
    for _ in range(60):
        run = traffic.run()
        spread = traffic.random.lognormvariate(0, 0.2)
        begin_ns = run.now_ns
        for step in range(calls):
            run.turn(ms=turn_ms * spread)
            about = f"trip {len(traffic.runs)} {step}"
            run.call("search", {"q": about}, f"found {about}", ms=tool_ms * spread)
        if behind_ms:
            run.now_ns = begin_ns
            run.call("log", {"n": len(traffic.runs)}, "ok", ms=behind_ms * spread)
    return traffic.rows


def slowed(before: list[Row], after: list[Row]) -> tuple[Slower | None, str]:
    with ExitStack() as stack:
        sides = [stack.enter_context(view_of(rows)) for rows in (before, after)]
        result = compare_views(*sides, settings=sections.Analysis())
    metrics = {one.name: one for one in result.comparison.metrics}
    return metrics["duration"].slower, render(result.comparison) + "".join(
        f.summary + f.recommendation for f in result.report.findings if f.category == "regression"
    )


def test_the_tool_that_made_runs_slower_is_named() -> None:
    slower, told = slowed(runs(1), runs(2, tool_ms=2000))
    assert slower is not None
    assert (slower.tool, slower.model) == ("search", None)
    assert slower.share > 0.8
    assert slower.after_s / slower.before_s > 5
    assert "of it is waiting for tool search of agent booker" in told
    assert 'Look at tool "search" of agent "booker" first.' in told


def test_the_model_that_made_runs_slower_is_named() -> None:
    slower, _ = slowed(runs(1), runs(2, turn_ms=3000))
    assert slower is not None
    assert (slower.tool, slower.model) == (None, "large")


def test_more_calls_make_runs_slower_too() -> None:
    slower, _ = slowed(runs(1, tool_ms=900), runs(2, tool_ms=900, turn_ms=100, calls=6))
    assert slower is not None
    assert slower.tool == "search"


def test_what_runs_beside_longer_work_makes_nothing_slower() -> None:
    slower, told = slowed(runs(1, behind_ms=100), runs(2, behind_ms=600))
    assert slower is None
    assert "waiting for" not in told


def test_nothing_is_named_where_runs_are_as_quick_as_before() -> None:
    slower, told = slowed(runs(1), runs(2))
    assert slower is None
    assert "first" not in told
