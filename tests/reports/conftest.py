"""A report as an analysis leaves it: one bad finding, one mild one, one detector that abstained."""

import pytest

from halo_otel.clock import NS_PER_S
from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    RootCause,
    Severity,
    Status,
    Subject,
)
from halo_otel.model.report import Abstention, Coverage, Report, WindowSummary
from halo_otel.model.span import SpanId, TraceId

START_NS = 1_763_690_000 * NS_PER_S


def trace(number: int) -> TraceId:
    return TraceId(f"{number:032x}")


def span(number: int) -> SpanId:
    return SpanId(f"{number:016x}")


@pytest.fixture
def report() -> Report:
    loop = Finding(
        fingerprint="fpv1:0123456789abcdef",
        detector="loop.exact",
        category="loop",
        title="booking repeats search_flights with the same arguments",
        summary="12 of 86 runs call search_flights 5 times or more and get the same answer.",
        subject=Subject(
            service="travel",
            agent="booking",
            tool="search_flights",
            attributes={"version": "2.3.1"},
        ),
        severity=Severity.ERROR,
        confidence=0.934,
        impact=Impact(
            traces_affected=12,
            traces_exposed=86,
            failed_traces_attributable=7.25,
            tokens_wasted=41_250,
            cost_wasted=0.618,
            seconds_wasted=93.4,
        ),
        effect=Effect(
            measure="share of runs", value=0.1395, ci=(0.082, 0.2284), p_adjusted=0.000213
        ),
        traces=tuple(trace(n) for n in range(1, 13)),
        evidence=tuple(
            Evidence(
                trace_id=trace(n),
                span_id=span(n),
                role=Role.CAUSE if n == 1 else Role.SYMPTOM,
                note=f"call {n + 4} with the same arguments",
                time_ns=START_NS,
            )
            for n in range(1, 13)
        ),
        root_cause=RootCause(
            trace_id=trace(1), span_id=span(1), why="the empty answer is taken for a failure"
        ),
        recommendation="Tell the agent that an empty list is an answer, or stop after two equal calls.",
        priority=9.0,
        status=Status.REGRESSED,
        first_seen_ns=START_NS - 86_400 * NS_PER_S,
        last_seen_ns=START_NS,
        windows_seen=4,
    )
    slow = Finding(
        fingerprint="fpv1:fedcba9876543210",
        detector="latency.outlier",
        category="latency",
        title="gpt-4o is slow for booking",
        summary="3 model calls took more than 40 s.",
        subject=Subject(service="travel", model="gpt-4o"),
        severity=Severity.WARN,
        confidence=0.6,
        impact=Impact(traces_affected=3, traces_exposed=86),
        effect=Effect(measure="times the median", value=1234.5, ci=(2.5, float("inf"))),
        traces=(trace(1), trace(2), trace(3)),
        evidence=(
            Evidence(
                trace_id=trace(3),
                span_id=span(3),
                role=Role.CONTRAST,
                note="1.9 s",
                time_ns=START_NS,
            ),
        ),
        root_cause=None,
        recommendation="Look at the provider's status page.",
        priority=2.0,
        first_seen_ns=START_NS,
        last_seen_ns=START_NS,
    )
    return Report(
        window=WindowSummary(
            start_ns=START_NS,
            end_ns=START_NS + 300 * NS_PER_S,
            traces=90,
            spans=2_310,
            services=("travel", "search"),
            settled=86,
            late=2,
        ),
        coverage=Coverage(
            payload_captured=0.97,
            outcome_known=0.5,
            detectors_abstained=(
                Abstention(detector="retry_storm", why="no tool call has an outcome"),
            ),
        ),
        findings=(loop, slow),
    )
