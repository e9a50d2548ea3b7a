"""Model values to and from `halo.v1` messages, one pure function per message and direction.

The wire holds what the report contract holds, and `Evidence.time_ns` and `Finding.priority`; the
Resource of an evidence span stays in the registry, for the emitter.
"""

from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from halo_otel._pb.halo.v1 import control_pb2 as pb
from halo_otel.clock import NS_PER_S
from halo_otel.control.sources import ServiceStatus, TraceSummary
from halo_otel.findings.values import DroppedClaim, Transition
from halo_otel.model.facts import SpanKind
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
from halo_otel.model.goal import GoalNode, Level, Verdict
from halo_otel.model.report import Abstention, Coverage, Report, Usage, WindowSummary
from halo_otel.model.span import SpanId, TraceId
from halo_otel.selfobs import Reading
from halo_otel.window import LetGo, WindowInfo


def timestamp(time_ns: int) -> Timestamp:
    """Unix nanoseconds as a protobuf timestamp."""
    return Timestamp(seconds=time_ns // NS_PER_S, nanos=time_ns % NS_PER_S)


def nanoseconds(time: Timestamp) -> int:
    """A protobuf timestamp as Unix nanoseconds."""
    return int(time.seconds) * NS_PER_S + int(time.nanos)


def finding_to_proto(finding: Finding) -> pb.Finding:
    """A finding without the Resources of its evidence; what a model says of it stands in its texts."""
    cause = finding.root_cause
    return pb.Finding(
        fingerprint=finding.fingerprint,
        detector=finding.detector,
        category=finding.category,
        title=finding.title,
        summary=finding.full_summary,
        subject=_subject_to_proto(finding.subject),
        severity=finding.severity.value,
        confidence=finding.confidence,
        status=finding.status.value,
        impact=_impact_to_proto(finding.impact),
        effect=pb.Effect(
            measure=finding.effect.measure,
            value=finding.effect.value,
            ci_low=finding.effect.ci[0],
            ci_high=finding.effect.ci[1],
            p_adjusted=finding.effect.p_adjusted,
        ),
        traces=finding.traces,
        evidence=[_evidence_to_proto(evidence) for evidence in finding.evidence],
        root_cause=_cause_to_proto(cause) if cause else None,
        recommendation=finding.full_recommendation,
        tier=finding.tier,
        first_seen=timestamp(finding.first_seen_ns),
        last_seen=timestamp(finding.last_seen_ns),
        windows_seen=finding.windows_seen,
        priority=finding.priority,
    )


def finding_from_proto(message: pb.Finding) -> Finding:
    """The finding a message holds."""
    effect = message.effect
    return Finding(
        fingerprint=message.fingerprint,
        detector=message.detector,
        category=message.category,
        title=message.title,
        summary=message.summary,
        subject=_subject_from_proto(message.subject),
        severity=Severity(message.severity),
        confidence=message.confidence,
        status=Status(message.status),
        impact=_impact_from_proto(message.impact),
        effect=Effect(
            measure=effect.measure,
            value=effect.value,
            ci=(effect.ci_low, effect.ci_high),
            p_adjusted=effect.p_adjusted if effect.HasField("p_adjusted") else None,
        ),
        traces=tuple(TraceId(trace_id) for trace_id in message.traces),
        evidence=tuple(_evidence_from_proto(evidence) for evidence in message.evidence),
        root_cause=_cause_from_proto(message.root_cause)
        if message.HasField("root_cause")
        else None,
        recommendation=message.recommendation,
        priority=message.priority,
        tier=message.tier,
        first_seen_ns=nanoseconds(message.first_seen),
        last_seen_ns=nanoseconds(message.last_seen),
        windows_seen=message.windows_seen,
    )


def dropped_to_proto(claim: DroppedClaim) -> pb.DroppedClaim:
    """A claim that did not hold."""
    return pb.DroppedClaim(
        time=timestamp(claim.at_ns),
        reason=claim.reason,
        why=claim.why,
        statement=claim.statement,
        subject=_subject_to_proto(claim.subject),
        cluster=claim.cluster,
        asked=claim.asked,
    )


def dropped_from_proto(message: pb.DroppedClaim) -> DroppedClaim:
    """The claim a message holds."""
    return DroppedClaim(
        at_ns=nanoseconds(message.time),
        reason=message.reason,
        why=message.why,
        statement=message.statement,
        subject=_subject_from_proto(message.subject),
        cluster=message.cluster if message.HasField("cluster") else None,
        asked=message.asked,
    )


def _subject_to_proto(subject: Subject) -> pb.Subject:
    return pb.Subject(
        service=subject.service,
        agent=subject.agent,
        tool=subject.tool,
        model=subject.model,
        attributes=dict(subject.attributes),
    )


def _subject_from_proto(message: pb.Subject) -> Subject:
    return Subject(
        service=message.service if message.HasField("service") else None,
        agent=message.agent if message.HasField("agent") else None,
        tool=message.tool if message.HasField("tool") else None,
        model=message.model if message.HasField("model") else None,
        attributes=dict(message.attributes),
    )


def _impact_to_proto(impact: Impact) -> pb.Impact:
    return pb.Impact(
        traces_affected=impact.traces_affected,
        traces_exposed=impact.traces_exposed,
        failed_traces_attributable=impact.failed_traces_attributable,
        tokens_wasted=impact.tokens_wasted,
        cost_wasted=impact.cost_wasted,
        seconds_wasted=impact.seconds_wasted,
    )


def _impact_from_proto(message: pb.Impact) -> Impact:
    return Impact(
        traces_affected=message.traces_affected,
        traces_exposed=message.traces_exposed,
        failed_traces_attributable=message.failed_traces_attributable,
        tokens_wasted=message.tokens_wasted,
        cost_wasted=message.cost_wasted,
        seconds_wasted=message.seconds_wasted,
    )


def _evidence_to_proto(evidence: Evidence) -> pb.Evidence:
    return pb.Evidence(
        trace_id=evidence.trace_id,
        span_id=evidence.span_id,
        role=evidence.role.value,
        note=evidence.note,
        time=timestamp(evidence.time_ns),
    )


def _evidence_from_proto(message: pb.Evidence) -> Evidence:
    return Evidence(
        trace_id=TraceId(message.trace_id),
        span_id=SpanId(message.span_id),
        role=Role(message.role),
        note=message.note,
        time_ns=nanoseconds(message.time),
    )


def _cause_to_proto(cause: RootCause) -> pb.RootCause:
    return pb.RootCause(trace_id=cause.trace_id, span_id=cause.span_id, why=cause.why)


def _cause_from_proto(message: pb.RootCause) -> RootCause:
    return RootCause(
        trace_id=TraceId(message.trace_id), span_id=SpanId(message.span_id), why=message.why
    )


def transition_to_proto(transition: Transition, finding: Finding) -> pb.Transition:
    """One change of a finding's status, with the finding as it is now."""
    return pb.Transition(
        sequence=transition.seq,
        time=timestamp(transition.at_ns),
        status_before=transition.before.value if transition.before else "",
        status_after=transition.after.value,
        run_id=transition.run_id,
        finding=finding_to_proto(finding),
    )


def transition_from_proto(message: pb.Transition) -> tuple[Transition, Finding]:
    """The transition and the finding a message holds."""
    finding = finding_from_proto(message.finding)
    transition = Transition(
        seq=message.sequence,
        fingerprint=finding.fingerprint,
        before=Status(message.status_before) if message.status_before else None,
        after=Status(message.status_after),
        at_ns=nanoseconds(message.time),
        run_id=message.run_id if message.HasField("run_id") else None,
    )
    return transition, finding


def window_to_proto(window: WindowInfo) -> pb.Window:
    """One window file."""
    return pb.Window(
        start=timestamp(window.start_ns),
        end=timestamp(window.end_ns),
        state=window.state,
        spans=window.spans,
        log_records=window.log_records,
        bytes=window.bytes_,
        path=str(window.path or ""),
        let_go_traces=window.let_go.traces,
        let_go_spans=window.let_go.spans,
        let_go_log_records=window.let_go.log_records,
    )


def window_from_proto(message: pb.Window) -> WindowInfo:
    """The window a message holds; its path is one of the service's machine."""
    return WindowInfo(
        start_ns=nanoseconds(message.start),
        end_ns=nanoseconds(message.end),
        state="open" if message.state == "open" else "sealed",
        path=Path(message.path) if message.path else None,
        spans=message.spans,
        log_records=message.log_records,
        bytes_=message.bytes,
        let_go=LetGo(message.let_go_traces, message.let_go_spans, message.let_go_log_records),
    )


def trace_to_proto(trace: TraceSummary) -> pb.TraceSummary:
    """One line about a trace."""
    return pb.TraceSummary(
        trace_id=trace.trace_id,
        service=trace.service,
        name=trace.name,
        agent=trace.agent,
        start=timestamp(trace.start_ns),
        end=timestamp(trace.end_ns),
        spans=trace.spans,
        failed_spans=trace.failed_spans,
        tokens=trace.tokens,
    )


def trace_from_proto(message: pb.TraceSummary) -> TraceSummary:
    """The line about a trace a message holds."""
    return TraceSummary(
        trace_id=TraceId(message.trace_id),
        service=message.service,
        name=message.name,
        agent=message.agent if message.HasField("agent") else None,
        start_ns=nanoseconds(message.start),
        end_ns=nanoseconds(message.end),
        spans=message.spans,
        failed_spans=message.failed_spans,
        tokens=message.tokens if message.HasField("tokens") else None,
    )


def node_to_proto(node: GoalNode) -> pb.GoalNode:
    """One goal of a tree."""
    return pb.GoalNode(
        index=node.index,
        parent=node.parent,
        level=int(node.level),
        name=node.name,
        agent=node.agent,
        trace_id=node.trace_id,
        span_id=node.span_id,
        start=timestamp(node.start_ns),
        end=timestamp(node.end_ns),
        tokens=node.tokens,
        correctness=node.correctness.value,
        latency=node.latency.value,
        resources=node.resources.value,
        kind=node.kind.value if node.kind else "",
        tool=node.tool,
        cost=node.cost,
        parallel=node.parallel,
        shift_ns=node.shift_ns,
    )


def node_from_proto(message: pb.GoalNode) -> GoalNode:
    """The goal a message holds."""
    return GoalNode(
        index=message.index,
        parent=message.parent,
        level=Level(message.level),
        name=message.name,
        agent=message.agent if message.HasField("agent") else None,
        trace_id=TraceId(message.trace_id),
        span_id=SpanId(message.span_id),
        start_ns=nanoseconds(message.start),
        end_ns=nanoseconds(message.end),
        tokens=message.tokens if message.HasField("tokens") else None,
        correctness=Verdict(message.correctness),
        latency=Verdict(message.latency),
        resources=Verdict(message.resources),
        kind=SpanKind(message.kind) if message.kind else None,
        tool=message.tool if message.HasField("tool") else None,
        cost=message.cost if message.HasField("cost") else None,
        parallel=message.parallel,
        shift_ns=message.shift_ns,
    )


def report_to_proto(report: Report) -> pb.Report:
    """A report, whole."""
    window, coverage, usage = report.window, report.coverage, report.usage
    return pb.Report(
        window=pb.WindowSummary(
            start=timestamp(window.start_ns),
            end=timestamp(window.end_ns),
            traces=window.traces,
            spans=window.spans,
            services=window.services,
            settled=window.settled,
            late=window.late,
        ),
        coverage=pb.Coverage(
            payload_captured=coverage.payload_captured,
            outcome_known=coverage.outcome_known,
            detectors_abstained=[
                pb.Abstention(detector=a.detector, why=a.why) for a in coverage.detectors_abstained
            ],
        ),
        findings=[finding_to_proto(finding) for finding in report.findings],
        usage=pb.Usage(
            model_calls=usage.model_calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=usage.cost,
            claims_checked=usage.claims_checked,
            claims_dropped=usage.claims_dropped,
        ),
    )


def report_from_proto(message: pb.Report) -> Report:
    """The report a message holds."""
    window, coverage, usage = message.window, message.coverage, message.usage
    return Report(
        window=WindowSummary(
            start_ns=nanoseconds(window.start),
            end_ns=nanoseconds(window.end),
            traces=window.traces,
            spans=window.spans,
            services=tuple(window.services),
            settled=window.settled,
            late=window.late,
        ),
        coverage=Coverage(
            payload_captured=coverage.payload_captured,
            outcome_known=coverage.outcome_known,
            detectors_abstained=tuple(
                Abstention(detector=a.detector, why=a.why) for a in coverage.detectors_abstained
            ),
        ),
        findings=tuple(finding_from_proto(finding) for finding in message.findings),
        usage=Usage(
            model_calls=usage.model_calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=usage.cost,
            claims_checked=usage.claims_checked,
            claims_dropped=usage.claims_dropped,
        ),
    )


def status_to_proto(status: ServiceStatus) -> pb.ServiceStatus:
    """How the service is doing."""
    return pb.ServiceStatus(
        version=status.version,
        ready=status.ready,
        lag_seconds=status.lag_s,
        backlog_bytes=status.backlog_bytes,
        readings=[
            pb.Reading(name=r.name, attributes=dict(r.attributes), value=r.value)
            for r in status.readings
        ],
    )


def status_from_proto(message: pb.ServiceStatus) -> ServiceStatus:
    """The status a message holds."""
    return ServiceStatus(
        version=message.version,
        ready=message.ready,
        lag_s=message.lag_seconds,
        backlog_bytes=message.backlog_bytes,
        readings=tuple(
            Reading(r.name, tuple(sorted(r.attributes.items())), r.value) for r in message.readings
        ),
    )
