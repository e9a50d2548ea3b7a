"""When runs happen, what they judge, and what is remembered between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from halo_otel.analysis.claims.exposure import exposed
from halo_otel.analysis.scheduler import Scheduler
from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.model.finding import Subject
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.analysis.conftest import START_NS, Row, Run, Traffic, batch

WINDOW_S = 300
T0_NS = START_NS - START_NS % (WINDOW_S * NS_PER_S) + WINDOW_S * NS_PER_S


class Service:
    """A store fed by hand and the scheduler over it."""

    def __init__(self, store: WindowStore, settings: sections.Analysis) -> None:
        self.store = store
        self.counters = Counters()
        self.scheduler = Scheduler(store, settings, self.counters)
        self._offset = 0

    def arrive(self, runs: list[Run], at_s: float) -> None:
        """All spans of `runs` arrive at one moment."""
        arrival_ns = T0_NS + round(at_s * NS_PER_S)
        rows: list[Row] = []
        for row in (row for run in runs for row in run.rows):
            self._offset += 1
            rows.append({**row, "arrival_ns": arrival_ns, "position": self._offset})
        self.store.insert(self.store.start_of(arrival_ns), batch(rows), self._offset)

    def seal(self, at_s: float) -> None:
        self.store.seal_before(T0_NS + round(at_s * NS_PER_S))


def at(seconds: float) -> int:
    return T0_NS + round(seconds * NS_PER_S)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    store = WindowStore(tmp_path, sections.Window(length=WINDOW_S), Counters())
    store.open()
    yield Service(store, sections.Analysis())
    store.close()


def failing(traffic: Traffic, count: int) -> list[Run]:
    runs = [traffic.run(outcome=False) for _ in range(count)]
    for number, run in enumerate(runs):
        run.call("pay", {"n": number}, None, error="card service down")
    return runs


def test_a_sealed_window_is_analysed_once(service: Service, traffic: Traffic) -> None:
    service.arrive(traffic.healthy(5).runs, 10)
    assert service.scheduler.tick(at(100)) is None
    service.seal(WINDOW_S)
    run = service.scheduler.tick(at(WINDOW_S + 1))
    assert run is not None
    assert run.trigger == "window"
    assert len(run.run.judged) == 5
    assert [(c.service, c.traces, c.errors) for c in run.sealed] == [("shop", 5, 0)]
    assert service.scheduler.tick(at(WINDOW_S + 2)) is None
    assert service.counters.value("halo.analysis.runs", trigger="window") == 1


def test_traces_are_judged_when_they_are_settled(service: Service, traffic: Traffic) -> None:
    service.arrive(traffic.healthy(3).runs, 10)
    service.arrive([traffic.run().call("search", {}, "x")], WINDOW_S - 5)
    service.seal(WINDOW_S)
    early = service.scheduler.tick(at(WINDOW_S + 1))
    assert early is not None
    assert len(early.run.judged) == 3
    assert service.scheduler.tick(at(WINDOW_S + 20)) is None
    rest = service.scheduler.tick(at(WINDOW_S + 26))  # nothing new comes, the last one has settled
    assert rest is not None
    assert len(rest.run.judged) == 1
    assert rest.run.report.window.settled == 4
    assert service.scheduler.tick(at(WINDOW_S + 60)) is None


def test_on_demand_means_now(service: Service, traffic: Traffic) -> None:
    service.arrive(traffic.healthy(2).runs, 10)
    assert service.scheduler.run_now(at(20)).run.judged == ()  # not settled
    again = service.scheduler.run_now(at(60))
    assert again.trigger == "demand"
    assert len(again.run.judged) == 2
    assert service.scheduler.run_now(at(61)).run.judged == ()  # judged already


def test_a_late_span_is_counted_and_its_trace_judged_again(
    service: Service, traffic: Traffic
) -> None:
    run = traffic.run().call("search", {}, "x")
    service.arrive([run], 10)
    service.scheduler.run_now(at(60))
    late = Run(0).call("fetch", {}, None, error="gone")
    late.rows = [{**late.rows[-1], "span_id": "f" * 16}]
    service.arrive([late], 100)
    again = service.scheduler.run_now(at(200))
    assert again.run.spans_late == 1
    assert again.run.report.window.late == 1
    assert [judgement.spans for judgement in again.run.judged] == [4]
    assert again.run.report.window.settled == 1
    assert service.counters.value("halo.analysis.late_spans") == 1


def test_patterns_add_up_over_runs_and_leave_with_the_lookback(
    service: Service, traffic: Traffic
) -> None:
    traffic.healthy(30)
    service.arrive(traffic.runs, 5)
    for minute in range(3):
        service.arrive(failing(traffic, 1), 60 * minute + 10)
        report = service.scheduler.run_now(at(60 * minute + 59)).run.report
    (error,) = report.findings
    assert error.impact.traces_affected == 3
    assert not service.scheduler.run_now(at(2 * 3600)).run.report.findings


def test_a_restart_judges_the_lookback_again(service: Service, traffic: Traffic) -> None:
    traffic.healthy(30)
    failing(traffic, 5)
    service.arrive(traffic.runs, 10)
    service.seal(WINDOW_S)
    before = service.scheduler.tick(at(WINDOW_S + 60))
    reborn = Scheduler(service.store, sections.Analysis(), Counters())
    after = reborn.tick(at(WINDOW_S + 60))
    assert before is not None
    assert after is not None
    assert after.run.report == before.run.report


def test_a_burst_of_errors_is_analysed_before_the_window_ends(
    service: Service, traffic: Traffic
) -> None:
    service.arrive(traffic.healthy(60).runs, 10)
    service.arrive(failing(traffic, 1), 11)
    service.seal(WINDOW_S)
    service.scheduler.tick(at(WINDOW_S + 1))
    service.arrive(failing(traffic, 30), WINDOW_S + 20)
    early = service.scheduler.tick(at(WINDOW_S + 55))
    assert early is not None
    assert early.trigger == "early"
    assert early.run.report.findings[0].category == "error"
    assert service.scheduler.tick(at(WINDOW_S + 60)) is None  # at most once per settle period
    repeated = service.scheduler.tick(at(WINDOW_S + 90))
    assert repeated is not None
    assert repeated.trigger == "early"


def test_ordinary_errors_are_no_burst(service: Service, traffic: Traffic) -> None:
    service.arrive(traffic.healthy(30).runs + failing(traffic, 30), 10)
    service.seal(WINDOW_S)
    service.scheduler.tick(at(WINDOW_S + 1))
    service.arrive(failing(traffic, 30), WINDOW_S + 20)
    service.arrive(Traffic().healthy(0).runs + [traffic.run() for _ in range(30)], WINDOW_S + 21)
    assert service.scheduler.tick(at(WINDOW_S + 60)) is None


def test_spans_beyond_the_limit_are_counted_newest_first(tmp_path: Path, traffic: Traffic) -> None:
    settings = sections.Analysis(max_spans=1000)
    with_limit = WindowStore(tmp_path, sections.Window(length=WINDOW_S), Counters())
    with_limit.open()
    service = Service(with_limit, settings)
    old, new = Traffic().healthy(60).runs, traffic.healthy(160).runs[60:]
    service.arrive(old, 10)
    service.arrive(new, 20)
    run = service.scheduler.run_now(at(100)).run
    assert len(run.judged) == 1000 // 10
    assert {j.trace_id for j in run.judged} == {r.trace_id for r in new}
    assert run.spans_unseen == 600
    with_limit.close()


def test_exposure_counts_the_traces_a_finding_could_have_shown_in(
    service: Service, traffic: Traffic
) -> None:
    traffic.healthy(4)
    traffic.run().call("fetch", {}, "x")
    service.arrive(traffic.runs, 10)
    run = service.scheduler.run_now(at(100)).run
    subjects = {
        "tool": Subject(service="shop", agent="booker", tool="fetch"),
        "agent": Subject(service="shop", agent="booker"),
        "model": Subject(service="shop", agent="booker", model="large"),
        "other": Subject(service="shop", agent="nobody"),
    }
    assert exposed(run, subjects, 0) == {"tool": 1, "agent": 5, "model": 5, "other": 0}
    # What had arrived before an earlier process ended was judged by it.
    assert set(exposed(run, subjects, at(10)).values()) == {0}


def test_a_pattern_below_the_gate_is_not_absent(service: Service, traffic: Traffic) -> None:
    traffic.healthy(30)
    service.arrive(traffic.runs + failing(traffic, 3), 10)
    first = service.scheduler.run_now(at(100)).run
    (error,) = first.report.findings
    subjects = {error.fingerprint: error.subject}
    assert exposed(first, subjects, 0) == {error.fingerprint: None}
    # An hour later a single trace shows it: too few for a finding, enough not to be gone.
    service.arrive(failing(traffic, 1) + traffic.healthy(40).runs[-40:], 4000)
    later = service.scheduler.run_now(at(4100)).run
    assert error.fingerprint not in {finding.fingerprint for finding in later.report.findings}
    assert exposed(later, subjects, 0) == {error.fingerprint: None}


def test_a_trace_judged_again_is_no_new_exposure(service: Service, traffic: Traffic) -> None:
    run = traffic.run().call("fetch", {}, "x")
    service.arrive([run], 10)
    service.scheduler.run_now(at(60))
    late = Run(0).call("fetch", {"n": 1}, "y")
    late.rows = [{**late.rows[-1], "span_id": "f" * 16}]
    service.arrive([late], 100)
    again = service.scheduler.run_now(at(200)).run
    assert len(again.judged) == 1
    subjects = {"tool": Subject(service="shop", agent="booker", tool="fetch")}
    assert exposed(again, subjects, 0) == {"tool": 0}


def test_spans_sent_twice_are_counted_once_their_window_is_sealed(
    service: Service, traffic: Traffic
) -> None:
    run = traffic.run().call("search", {}, "x")
    for at_s in (10, 20, 30):
        service.arrive([run], at_s)
    service.scheduler.run_now(at(60))
    assert service.counters.value("halo.window.repeated_spans") == 0
    service.seal(WINDOW_S)
    service.scheduler.run_now(at(WINDOW_S + 1))
    service.scheduler.run_now(at(WINDOW_S + 2))
    assert service.counters.value("halo.window.repeated_spans") == 2 * len(run.rows)
    reborn = Service(service.store, sections.Analysis())
    reborn.scheduler.run_now(at(WINDOW_S + 3))
    assert reborn.counters.value("halo.window.repeated_spans") == 0
