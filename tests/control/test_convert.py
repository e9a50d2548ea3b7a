"""Conversion laws: what goes over the wire comes back as it was."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from halo_otel.control import convert
from halo_otel.control.sources import ServiceStatus, TraceSummary
from halo_otel.findings.values import DroppedClaim, Transition
from halo_otel.model.facts import SpanKind
from halo_otel.model.finding import (
    CATEGORIES,
    Effect,
    Evidence,
    Explanation,
    Finding,
    Impact,
    Role,
    RootCause,
    Severity,
    Status,
    Subject,
)
from halo_otel.model.goal import GoalNode, Level, Verdict
from halo_otel.model.report import Abstention, Coverage, Report, Usage, WindowSummary
from halo_otel.selfobs import Reading
from halo_otel.window import LetGo, WindowInfo

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.integers(0, 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
small = st.integers(0, 2**32 - 1)
numbers = st.floats(allow_nan=False)
trace_ids = st.text("0123456789abcdef", min_size=32, max_size=32)
span_ids = st.text("0123456789abcdef", min_size=16, max_size=16)


def maybe(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | strategy


findings = st.builds(
    Finding,
    explanation=st.none(),  # written into the texts
    fingerprint=texts,
    detector=texts,
    category=st.sampled_from(CATEGORIES),
    title=texts,
    summary=texts,
    subject=st.builds(
        Subject,
        service=maybe(texts),
        agent=maybe(texts),
        tool=maybe(texts),
        model=maybe(texts),
        attributes=st.dictionaries(texts, texts, max_size=3),
    ),
    severity=st.sampled_from(Severity),
    confidence=numbers,
    impact=st.builds(
        Impact,
        traces_affected=counts,
        traces_exposed=counts,
        failed_traces_attributable=numbers,
        tokens_wasted=counts,
        cost_wasted=numbers,
        seconds_wasted=numbers,
    ),
    effect=st.builds(
        Effect,
        measure=texts,
        value=numbers,
        ci=st.tuples(numbers, numbers),
        p_adjusted=st.none() | numbers,
    ),
    traces=st.lists(trace_ids, max_size=3).map(tuple),
    evidence=st.lists(
        st.builds(
            Evidence,
            trace_id=trace_ids,
            span_id=span_ids,
            role=st.sampled_from(Role),
            note=texts,
            time_ns=times,
            resource=st.dictionaries(texts, st.integers() | st.binary(), max_size=2),
        ),
        max_size=3,
    ).map(tuple),
    root_cause=st.none() | st.builds(RootCause, trace_id=trace_ids, span_id=span_ids, why=texts),
    recommendation=texts,
    priority=numbers,
    tier=st.sampled_from(["deterministic", "model"]),
    status=st.sampled_from(Status),
    first_seen_ns=times,
    last_seen_ns=times,
    windows_seen=small,
)
reports = st.builds(
    Report,
    window=st.builds(
        WindowSummary,
        start_ns=times,
        end_ns=times,
        traces=counts,
        spans=counts,
        services=st.lists(texts, max_size=3).map(tuple),
        settled=counts,
        late=counts,
    ),
    coverage=st.builds(
        Coverage,
        payload_captured=numbers,
        outcome_known=numbers,
        detectors_abstained=st.lists(
            st.builds(Abstention, detector=texts, why=texts), max_size=2
        ).map(tuple),
    ),
    findings=st.lists(findings, max_size=2).map(tuple),
    usage=st.builds(
        Usage,
        model_calls=counts,
        input_tokens=counts,
        output_tokens=counts,
        cost=numbers,
        claims_checked=counts,
        claims_dropped=counts,
    ),
)
nodes = st.builds(
    GoalNode,
    index=small,
    parent=st.integers(-1, 2**31 - 1),
    level=st.sampled_from(Level),
    name=texts,
    agent=maybe(texts),
    trace_id=trace_ids,
    span_id=st.just("") | span_ids,
    start_ns=times,
    end_ns=times,
    tokens=st.none() | counts,
    correctness=st.sampled_from(Verdict),
    latency=st.sampled_from(Verdict),
    resources=st.sampled_from(Verdict),
    kind=st.none() | st.sampled_from(SpanKind),
    tool=maybe(texts),
    cost=st.none() | numbers,
    parallel=st.booleans(),
    shift_ns=st.integers(-(2**62), 2**62),
)
trace_summaries = st.builds(
    TraceSummary,
    trace_id=trace_ids,
    service=texts,
    name=texts,
    agent=maybe(texts),
    start_ns=times,
    end_ns=times,
    spans=counts,
    failed_spans=counts,
    tokens=st.none() | counts,
)
windows = st.builds(
    WindowInfo,
    start_ns=times,
    end_ns=times,
    state=st.sampled_from(["open", "sealed"]),
    path=st.none(),
    spans=counts,
    log_records=counts,
    bytes_=counts,
    let_go=st.builds(LetGo, counts, counts, counts),
)
statuses = st.builds(
    ServiceStatus,
    version=texts,
    ready=st.booleans(),
    lag_s=numbers,
    backlog_bytes=counts,
    readings=st.lists(
        st.builds(
            Reading,
            name=texts,
            attributes=st.dictionaries(texts, texts, max_size=2).map(
                lambda pairs: tuple(sorted(pairs.items()))
            ),
            value=numbers,
        ),
        max_size=3,
    ).map(tuple),
)


def on_the_wire(finding: Finding) -> Finding:
    """Resources of evidence stay at home; nothing else is lost."""
    return replace(finding, evidence=tuple(replace(e, resource={}) for e in finding.evidence))


@given(findings)
def test_finding(finding: Finding) -> None:
    message = convert.finding_to_proto(finding)
    again = type(message).FromString(message.SerializeToString())
    assert convert.finding_from_proto(again) == on_the_wire(finding)


@given(reports)
def test_report(report: Report) -> None:
    expected = replace(report, findings=tuple(map(on_the_wire, report.findings)))
    assert convert.report_from_proto(convert.report_to_proto(report)) == expected


@given(
    findings, counts, st.none() | st.sampled_from(Status), st.sampled_from(Status), times, counts
)
def test_transition(
    finding: Finding, seq: int, before: Status | None, after: Status, at_ns: int, run_id: int
) -> None:
    for run in (run_id, None):
        transition = Transition(
            seq=seq,
            fingerprint=finding.fingerprint,
            before=before,
            after=after,
            at_ns=at_ns,
            run_id=run,
        )
        message = convert.transition_to_proto(transition, finding)
        assert convert.transition_from_proto(message) == (transition, on_the_wire(finding))


@given(nodes)
def test_node(node: GoalNode) -> None:
    assert convert.node_from_proto(convert.node_to_proto(node)) == node


@given(trace_summaries)
def test_trace_summary(trace: TraceSummary) -> None:
    assert convert.trace_from_proto(convert.trace_to_proto(trace)) == trace


@given(windows)
def test_window(window: WindowInfo) -> None:
    assert convert.window_from_proto(convert.window_to_proto(window)) == window


@given(statuses)
def test_status(status: ServiceStatus) -> None:
    assert convert.status_from_proto(convert.status_to_proto(status)) == status


@given(times)
def test_time(time_ns: int) -> None:
    assert convert.nanoseconds(convert.timestamp(time_ns)) == time_ns


@given(
    st.builds(
        DroppedClaim,
        at_ns=times,
        reason=texts,
        why=texts,
        statement=texts,
        subject=st.builds(Subject, service=maybe(texts), tool=maybe(texts)),
        cluster=maybe(texts),
        asked=texts,
    )
)
def test_dropped_claim(claim: DroppedClaim) -> None:
    assert convert.dropped_from_proto(convert.dropped_to_proto(claim)) == claim


@given(findings)
def test_an_explanation_stands_in_the_texts(finding: Finding) -> None:
    told = replace(finding, explanation=Explanation(statement="Why.", recommendation="How."))
    found = convert.finding_from_proto(convert.finding_to_proto(told))
    assert found.summary == told.full_summary
    assert found.summary.endswith("Why.")
    assert found.recommendation.endswith("How.")
