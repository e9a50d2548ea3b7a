"""A real registry with a few findings, and a real server in front of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from halo_otel.clock import NS_PER_S, ManualClock
from halo_otel.config.sections import Emit
from halo_otel.control.sources import ServiceStatus, Sources, TraceSummary
from halo_otel.errors import NotFound
from halo_otel.findings.registry import Registry
from halo_otel.findings.values import RunInfo
from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    RootCause,
    Severity,
    Subject,
    fingerprint,
)
from halo_otel.model.goal import GoalNode, Level, Verdict
from halo_otel.model.report import Coverage, Report, WindowSummary
from halo_otel.model.span import SpanId, TraceId
from halo_otel.selfobs import Counters, Reading
from halo_otel.window import WindowInfo

START_NS = 1_700_000_000 * NS_PER_S
TRACE = TraceId("0af7651916cd43dd8448eb211c80319c")
SPAN = SpanId("b7ad6b7169203331")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS + 300 * NS_PER_S)


@pytest.fixture
def make_finding() -> Callable[..., Finding]:
    def make(scope: str = "search_flights", **changes: object) -> Finding:
        subject = Subject(service="travel", agent="booking", tool=scope)
        finding = Finding(
            fingerprint=fingerprint("loop.exact", subject, scope),
            detector="loop.exact",
            category="loop",
            title=f"booking repeats {scope}",
            summary=f"booking calls {scope} with the same arguments",
            subject=subject,
            severity=Severity.ERROR,
            confidence=0.9,
            impact=Impact(traces_affected=1, traces_exposed=9, tokens_wasted=41_000),
            effect=Effect(measure="share", value=0.11, ci=(0.02, 0.43), p_adjusted=None),
            traces=(TRACE,),
            evidence=(
                Evidence(
                    trace_id=TRACE, span_id=SPAN, role=Role.CAUSE, note="5th call", time_ns=START_NS
                ),
            ),
            root_cause=RootCause(trace_id=TRACE, span_id=SPAN, why="the answer was empty"),
            recommendation="stop after an empty answer",
            priority=3.0,
        )
        return replace(finding, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_report() -> Callable[..., Report]:
    def make(*findings: Finding) -> Report:
        return Report(
            window=WindowSummary(
                start_ns=START_NS,
                end_ns=START_NS + 300 * NS_PER_S,
                traces=9,
                spans=81,
                services=("travel",),
                settled=9,
                late=0,
            ),
            coverage=Coverage(payload_captured=1.0, outcome_known=0.5),
            findings=findings,
        )

    return make


@pytest.fixture
def record(
    make_report: Callable[..., Report], registry: Registry, clock: ManualClock
) -> Callable[..., None]:
    """Tells the registry about findings, as an analysis run does."""
    ends_ns = count(START_NS + 300 * NS_PER_S)

    def tell(*findings: Finding) -> None:
        info = RunInfo(start_ns=START_NS, end_ns=next(ends_ns), trigger="window", duration_s=1.0)
        registry.record(make_report(*findings), info, clock.now_ns())

    return tell


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(f"sqlite:///{tmp_path / 'registry.sqlite'}", Emit(), Counters())
    registry.open()
    yield registry
    registry.close()


@pytest.fixture
def sources(
    registry: Registry,
    make_finding: Callable[..., Finding],
    make_report: Callable[..., Report],
) -> Sources:
    """One window, one trace, one report; the registry is empty."""
    report = make_report(make_finding())
    window = WindowInfo(
        start_ns=START_NS,
        end_ns=START_NS + 300 * NS_PER_S,
        state="sealed",
        path=Path("windows/1.duckdb"),
        spans=81,
        log_records=2,
        bytes_=4096,
    )
    trace = TraceSummary(
        trace_id=TRACE,
        service="travel",
        name="book",
        agent="booking",
        start_ns=START_NS,
        end_ns=START_NS + 7,
        spans=9,
        failed_spans=1,
        tokens=None,
    )
    node = GoalNode(
        index=0,
        parent=-1,
        level=Level.SESSION,
        name="book a flight",
        agent=None,
        trace_id=TRACE,
        span_id=SpanId(""),
        start_ns=START_NS,
        end_ns=START_NS + 7,
        tokens=12,
        correctness=Verdict.RECOVERED,
        latency=Verdict.OK,
        resources=Verdict.UNKNOWN,
    )
    status = ServiceStatus(
        version="0.1.0",
        ready=True,
        lag_s=0.25,
        backlog_bytes=17,
        readings=(Reading("halo.findings.open", (("severity", "warn"),), 2.0),),
    )

    def traces(start_ns: int, limit: int) -> list[TraceSummary]:
        if start_ns != START_NS:
            raise NotFound("no such window")
        return [trace][:limit]

    async def analyze() -> Report:
        return report

    return Sources(
        registry=registry,
        windows=lambda: [window],
        traces=traces,
        tree=lambda trace_id: [node] if trace_id == TRACE else [],
        session_tree=lambda session: [node, replace(node, index=1)] if session == "s 1" else [],
        analyze=analyze,
        report=lambda: report,
        status=lambda: status,
    )
