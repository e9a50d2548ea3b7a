"""Windows against those before: what alarms, what stays silent, what becomes a finding."""

import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.change.monitor import RECENT_WINDOWS, WARM_UP, Count, Monitor
from halo_otel.analysis.change.watch import Watch, Watched
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import Run as AnalysisRun
from halo_otel.analysis.run import extend
from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.model.cell import CellCount, Trend
from halo_otel.model.finding import Finding, Severity, Subject
from tests.analysis.conftest import START_NS, Row, Run, Traffic, view_of
from tests.analysis.eval_change import false_alarms, noticed

WINDOW_NS = 300 * NS_PER_S
SETTLED = sections.Analysis(trace_settle=0)
PAST = WARM_UP + RECENT_WINDOWS


def warm(rate: float = 0.1, n: int = 100, cells: tuple[str, ...] = ("a", "b", "c")) -> Monitor:
    monitor = Monitor()
    random = Random(1)
    for _ in range(PAST):
        monitor.close(
            {cell: Count(sum(random.random() < rate for _ in range(n)), n) for cell in cells}
        )
    return monitor


def test_clean_windows_are_silent_and_faults_are_noticed() -> None:
    """Overdispersed rates, 60 cells, 300 windows; the script prints more of it."""
    raised, _, windows = false_alarms(0.15, 50, 6)
    assert windows >= 300
    assert raised <= 0.02 * windows
    delays = noticed(5, 0.15, 10)
    assert sum(delay <= 3 for delay in delays) >= 7


def test_nothing_is_tested_without_a_past() -> None:
    monitor = Monitor()
    for _ in range(PAST - 1):
        assert monitor.close({"a": Count(0, 50)}) == {}
    assert monitor.close({"a": Count(50, 50)}) == {}
    assert monitor.close({"a": Count(50, 50)})["a"].trend is Trend.UP


def test_an_alarm_stands_until_the_rate_is_back_and_does_not_become_normal() -> None:
    monitor = warm()
    for _ in range(3 * PAST):
        standing = monitor.close({"a": Count(40, 100), "b": Count(10, 100)})
        assert standing["a"].trend is Trend.UP
        assert standing["b"].trend is Trend.STEADY
    back = monitor.close({"a": Count(9, 100), "b": Count(10, 100)})
    assert back["a"].trend is Trend.STEADY
    assert back["a"].usual < 0.15


def test_a_small_rise_adds_up() -> None:
    monitor = warm(rate=0.04, n=60)
    trends = [monitor.close({"a": Count(7, 60), "b": Count(2, 60)})["a"].trend for _ in range(12)]
    assert Trend.UP in trends


def test_a_few_traces_more_are_no_change() -> None:
    """Hard negative: three times the rate, two traces above it."""
    monitor = warm(rate=0.01, n=60)
    assert monitor.close({"a": Count(2, 60)})["a"].trend is Trend.STEADY


def test_a_rate_that_always_varies_is_no_alarm_when_it_does() -> None:
    """Hard negative: one window in four has three times the rate, as ever."""
    monitor = Monitor()
    window = [Count(5, 100), Count(5, 100), Count(4, 100), Count(15, 100)]
    for place in range(2 * PAST):
        monitor.close({"a": window[place % 4]})
    trends = [monitor.close({"a": window[place % 4]})["a"].trend for place in range(20)]
    assert Trend.UP not in trends


def test_less_is_down_and_steady_again() -> None:
    monitor = warm(rate=0.4)
    assert monitor.close({"a": Count(5, 100)})["a"].trend is Trend.DOWN
    assert monitor.close({"a": Count(40, 100)})["a"].trend is Trend.STEADY


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_any_counts_are_told_within_bounds(windows: list[tuple[int, int]]) -> None:
    monitor = Monitor()
    for affected, others in windows:
        for standing in monitor.close({"a": Count(affected, affected + others)}).values():
            assert 0 < standing.usual < 1
            assert 0 <= standing.p <= 1


def test_a_monitor_remembers_through_its_history() -> None:
    one, counts = Monitor(), []
    for place in range(2 * PAST):
        count = Count(30 if place > 50 else 4 + place % 3, 60)
        standing = one.close({"a": count}).get("a")
        odd = standing is not None and standing.trend is Trend.UP
        counts.append(
            CellCount(window_start_ns=place, cell="a", exposed=60, affected=count.affected, odd=odd)
        )
    other = Monitor(counts)
    later = [Count(30, 60), Count(5, 60), Count(6, 60)]
    assert [one.close({"a": c})["a"].trend for c in later] == [
        other.close({"a": c})["a"].trend for c in later
    ]


# --- as findings


class Service:
    """Windows of traffic, judged one after the other as the running service does it."""

    def __init__(self, history: tuple[CellCount, ...] = ()) -> None:
        self.watch = Watch(history, window_ns=WINDOW_NS, evidence_max=20)
        self.traffic = Traffic()
        self.now_ns = 0
        self.counts: list[CellCount] = []
        self.watch.take(self._run([]), {}, 0, 0)

    def _run(self, rows: list[Row]) -> AnalysisRun:
        with view_of(rows) as view:
            until_ns = START_NS + (len(self.traffic.runs) + 60) * NS_PER_S
            return extend(Lookback(), view, settings=SETTLED, until_ns=until_ns)

    def window(
        self,
        failing: int,
        runs: int = 40,
        tool: bool = False,
        subjects: dict[str, Subject] | None = None,
    ) -> Watched:
        rows = self.runs(failing, runs, tool=tool)
        self.now_ns += WINDOW_NS
        watched = self.watch.take(self._run(rows), subjects or {}, 0, self.now_ns)
        self.counts += watched.counts
        return watched

    def runs(self, failing: int, runs: int = 40, *, tool: bool = False) -> list[Row]:
        begun = len(self.traffic.runs)
        for number in range(runs):
            self._one(self.traffic.run(), fails=number < failing, tool=tool)
        return [row for run in self.traffic.runs[begun:] for row in run.rows]

    def _one(self, run: Run, *, fails: bool, tool: bool) -> None:
        error = f"PayError: refused {run.trace_id}" if fails and tool else None
        run.call("pay", {"n": run.trace_id}, "paid", error=error).turn()
        if fails:
            run.rows[0] |= {"status_code": 2, "error_source": "status", "error_message": "no"}


def past(*names: str) -> tuple[CellCount, ...]:
    """Windows in which a cell was seen in one to three of 40 runs."""
    cell = json.dumps(names, separators=(",", ":"))
    return tuple(
        CellCount(window_start_ns=place, cell=cell, exposed=40, affected=1 + place % 3, odd=False)
        for place in range(PAST)
    )


def warmed(*more: CellCount) -> Service:
    runs, calls = past("runs", "shop", "booker"), past("calls", "shop", "booker", "pay")
    return Service((*runs, *calls, *more))


def told(watched: Watched) -> Finding:
    (finding,) = watched.regressions
    return finding


def test_an_agent_that_begins_to_fail_is_a_regression_until_it_does_not() -> None:
    service = warmed()
    finding = told(service.window(failing=16))
    assert (finding.category, finding.severity) == ("regression", Severity.ERROR)
    assert finding.subject == Subject(service="shop", agent="booker")
    assert len(finding.traces) == finding.impact.traces_affected == 16
    assert finding.impact.traces_exposed == 40
    assert finding.effect.ci[0] > 2
    assert {one.trace_id for one in finding.evidence} - set(finding.traces)  # contrast
    later = told(service.window(failing=15))
    assert later.fingerprint == finding.fingerprint
    assert not set(later.traces) & set(finding.traces)
    assert service.window(failing=2).regressions == ()


def test_a_tool_that_makes_its_agent_fail_is_told_once() -> None:
    service = warmed()
    finding = told(service.window(failing=16, tool=True))
    assert finding.subject.tool == "pay"


def test_counts_are_what_a_watch_begins_with() -> None:
    service = warmed()
    assert service.window(failing=2).regressions == ()
    cells = {tuple(json.loads(count.cell)): count for count in service.counts}
    assert cells.keys() == {("runs", "shop", "booker"), ("calls", "shop", "booker", "pay")}
    runs = cells["runs", "shop", "booker"]
    assert (runs.affected, runs.exposed, runs.odd) == (2, 40, False)


def test_a_finding_that_comes_more_often_is_escalating() -> None:
    service = Service()
    run = service._run(service.runs(failing=4, tool=True))
    (name,) = [n for n, traces in run.sightings.items() if len(traces) == 4][:1]
    service = warmed(*past("finding", name))
    subjects = {name: Subject(service="shop", agent="booker", tool="pay")}
    trends = [
        service.window(failing=failing, tool=True, subjects=subjects).trends[name]
        for failing in (2, 18, 3)
    ]
    assert trends == [Trend.STEADY, Trend.UP, Trend.STEADY]


def test_a_window_is_closed_when_it_is_over_and_not_before() -> None:
    service = Service()
    run = service._run([])
    assert service.watch.take(run, {}, 0, WINDOW_NS // 2).counts == ()
    service.now_ns = 0
    assert {count.exposed for count in service.window(failing=2).counts} == {40}
