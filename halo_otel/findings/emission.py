"""What the Collector is told after a run, and how it looks (design §4.3, emission.md C7).

    pattern     one log record `halo.finding` about the finding as a whole, at the time of the run,
                without an agent's trace id: on a transition into NEW, ESCALATING, REGRESSED or
                RESOLVED, and again at most every `emit.repeat_interval` while it is open *and* was
                seen in more traces; an open finding nobody sees any more is not repeated
    occurrence  one log record `halo.finding.occurrence` per evidence span, once ever, with that
                span's ids and end time, so that a backend shows it inside the agent's own trace.
                Contrast spans are healthy: they are linked, not told as occurrences
    child span  the occurrence again as a span of zero duration, only if `emit.child_spans`
    analysis    one span `halo.analysis` per run that judged traces, in a trace of its own, with a
                link to every evidence span and one span event `halo.finding` per finding

Two kinds of log record, because SigNoz searches logs with a trace id only around that trace's time
while alerts look at now (emission.md C3, C4). A muted finding is told in none of them.
"""

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain, zip_longest
from typing import Final

from halo_otel.clock import NS_PER_S, rfc3339
from halo_otel.findings import otlpjson
from halo_otel.findings.otlpjson import cut, line
from halo_otel.findings.values import RunInfo, SignalKind
from halo_otel.model.finding import Evidence, Finding, Role, Severity, Status
from halo_otel.model.report import Report
from halo_otel.model.span import Attributes
from halo_otel.otlp import names

# What describes the telemetry itself is told once: it is the operator's choice, not an event.
TOLD_ONCE: Final = frozenset({"instrumentation"})
TOLD: Final = frozenset({Status.NEW, Status.ESCALATING, Status.REGRESSED, Status.RESOLVED})

# Bytes of UTF-8; all of one record together stay below 10 KB (see otlpjson).
TITLE_BYTES_MAX: Final = 512
NAME_BYTES_MAX: Final = 256
TEXT_BYTES_MAX: Final = 2048
BODY_BYTES_MAX: Final = 1024
SUBJECT_ATTRIBUTES_MAX: Final = 8
EVIDENCE_MAX: Final = 10  # references inside a pattern record

# The SDK specification's default limits of one span (OTEL_SPAN_EVENT_COUNT_LIMIT and
# OTEL_SPAN_LINK_COUNT_LIMIT, 128): what backends are built for.
SPAN_EVENTS_MAX: Final = 128
SPAN_LINKS_MAX: Final = 128


class Worth(IntEnum):
    """What goes first when the outbox is full: the lowest."""

    REPEAT = 0
    DETAIL = 1
    TRANSITION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One record to be sent. A later one with the same `dedupe_key` replaces it while it waits."""

    kind: SignalKind
    worth: Worth
    payload: str
    dedupe_key: str | None = None


def pattern(finding: Finding, run: RunInfo, now_ns: int, *, repeat: bool) -> Message:
    """The record about the finding as a whole."""
    return Message(
        kind=SignalKind.LOG,
        worth=Worth.REPEAT if repeat else Worth.TRANSITION,
        dedupe_key=f"repeat:{finding.fingerprint}" if repeat else None,
        payload=otlpjson.log_record(
            resource=_agent_resource(finding),
            time_ns=now_ns,
            observed_ns=now_ns,
            severity_number=_severity(finding).number,
            event_name=names.EVENT_FINDING,
            body=_headline(finding),
            attributes={
                names.EVENT_NAME: names.EVENT_FINDING,
                **_identity(finding),
                **_claim(finding),
                **_period(finding, run),
                names.FINDING_EVIDENCE: _references(finding.evidence),
            },
        ),
    )


def occurrences(
    finding: Finding,
    evidence: Iterable[Evidence],
    now_ns: int,
    *,
    child_spans: bool,
    own: Attributes,
) -> list[Message]:
    """The records about single `evidence` spans; `own` is the resource of our spans."""
    messages = []
    for span in evidence:
        attributes = {
            names.EVENT_NAME: names.EVENT_OCCURRENCE,
            **_identity(finding),
            names.EVIDENCE_ROLE: span.role.value,
            names.EVIDENCE_NOTE: cut(span.note, TEXT_BYTES_MAX),
        }
        record = otlpjson.log_record(
            resource=span.resource,
            time_ns=span.time_ns,
            observed_ns=now_ns,
            severity_number=finding.severity.number,
            event_name=names.EVENT_OCCURRENCE,
            body=line(f"{finding.title}: {span.note}", BODY_BYTES_MAX),
            attributes=attributes,
            trace_id=span.trace_id,
            span_id=span.span_id,
        )
        messages.append(Message(kind=SignalKind.LOG, worth=Worth.DETAIL, payload=record))
        if child_spans:
            child = otlpjson.span(
                resource=own,
                trace_id=span.trace_id,
                span_id=secrets.token_hex(8),
                parent_span_id=span.span_id,
                name=names.EVENT_OCCURRENCE,
                start_ns=span.time_ns,
                end_ns=span.time_ns,
                attributes=attributes,
            )
            messages.append(Message(kind=SignalKind.SPAN, worth=Worth.DETAIL, payload=child))
    return messages


def analysis(
    report: Report,
    findings: Sequence[Finding],
    run: RunInfo,
    now_ns: int,
    *,
    transitions: int,
    own: Attributes,
) -> Message:
    """The run's own span; `findings` are the report's as the registry now knows them, unmuted."""
    links = _links(findings)
    events = [(names.EVENT_FINDING, now_ns, _event(finding)) for finding in findings]
    window = report.window
    dropped_events = max(0, len(events) - SPAN_EVENTS_MAX)
    dropped_links = max(0, len(links) - SPAN_LINKS_MAX)
    return Message(
        kind=SignalKind.SPAN,
        worth=Worth.DETAIL if transitions else Worth.REPEAT,
        payload=otlpjson.span(
            resource=own,
            trace_id=secrets.token_hex(16),
            span_id=secrets.token_hex(8),
            name=names.SPAN_ANALYSIS,
            start_ns=now_ns - round(run.duration_s * NS_PER_S),
            end_ns=now_ns,
            attributes={
                names.ANALYSIS_TRIGGER: run.trigger,
                names.ANALYSIS_WINDOW_START: rfc3339(run.start_ns),
                names.ANALYSIS_WINDOW_END: rfc3339(run.end_ns),
                names.ANALYSIS_TRACES: window.traces,
                names.ANALYSIS_TRACES_JUDGED: window.settled,
                names.ANALYSIS_SPANS: window.spans,
                names.ANALYSIS_FINDINGS: len(findings),
                names.ANALYSIS_TRANSITIONS: transitions,
                names.ANALYSIS_EVENTS_DROPPED: dropped_events,
                names.ANALYSIS_LINKS_DROPPED: dropped_links,
            },
            events=events[:SPAN_EVENTS_MAX],
            links=links[:SPAN_LINKS_MAX],
            dropped_events=dropped_events,
            dropped_links=dropped_links,
        ),
    )


def _severity(finding: Finding) -> Severity:
    """Good news is no error: a resolved finding is told as INFO, whatever it was."""
    return Severity.INFO if finding.status is Status.RESOLVED else finding.severity


def _agent_resource(finding: Finding) -> Attributes:
    """The Resource describes the observed entity, not the one who tells (emission.md C1)."""
    shown = [span for span in finding.evidence if span.role is not Role.CONTRAST and span.resource]
    if shown:
        return shown[0].resource
    service = finding.subject.service
    return {names.RESOURCE_SERVICE_NAME: service} if service else {}


def _identity(finding: Finding) -> dict[str, str | int | float | bool]:
    """What and about whom: on every record of a finding."""
    subject = finding.subject
    about = {
        names.AGENT_NAME: subject.agent,
        names.TOOL_NAME: subject.tool,
        names.REQUEST_MODEL: subject.model,
        names.ERROR_TYPE: subject.attributes.get(names.ERROR_TYPE),
    }
    others = [key for key in sorted(subject.attributes) if key != names.ERROR_TYPE]
    for key in others[:SUBJECT_ATTRIBUTES_MAX]:
        about[names.FINDING_SUBJECT_PREFIX + line(key, NAME_BYTES_MAX)] = subject.attributes[key]
    return {
        names.FINDING_ID: finding.fingerprint,
        names.FINDING_FINGERPRINT: finding.fingerprint,
        names.FINDING_CATEGORY: finding.category,
        names.FINDING_DETECTOR: finding.detector,
        names.FINDING_TITLE: line(finding.title, TITLE_BYTES_MAX),
        names.FINDING_STATUS: finding.status.value,
        names.FINDING_SEVERITY: finding.severity.value,
        names.FINDING_CONFIDENCE: float(finding.confidence),
        names.FINDING_TIER: finding.tier,
        **{key: line(value, NAME_BYTES_MAX) for key, value in about.items() if value},
    }


def _claim(finding: Finding) -> dict[str, str | int | float | bool]:
    impact = finding.impact
    return {
        names.FINDING_SUMMARY: cut(finding.full_summary, TEXT_BYTES_MAX),
        names.FINDING_PRIORITY: float(finding.priority),
        names.FINDING_TRACES_AFFECTED: impact.traces_affected,
        names.FINDING_TRACES_EXPOSED: impact.traces_exposed,
        names.FINDING_TOKENS_WASTED: impact.tokens_wasted,
        names.FINDING_COST_WASTED: float(impact.cost_wasted),
        names.FINDING_SECONDS_WASTED: float(impact.seconds_wasted),
        names.FINDING_RECOMMENDATION: cut(finding.full_recommendation, TEXT_BYTES_MAX),
    }


def _period(finding: Finding, run: RunInfo) -> dict[str, str | int | float | bool]:
    return {
        names.FINDING_FIRST_SEEN: rfc3339(finding.first_seen_ns),
        names.FINDING_LAST_SEEN: rfc3339(finding.last_seen_ns),
        names.FINDING_WINDOWS_SEEN: finding.windows_seen,
        names.FINDING_WINDOW_START: rfc3339(run.start_ns),
        names.FINDING_WINDOW_END: rfc3339(run.end_ns),
    }


def _event(finding: Finding) -> Attributes:
    """A span event is short: the log record of the same id says the rest."""
    return {
        **_identity(finding),
        names.FINDING_TRACES_AFFECTED: finding.impact.traces_affected,
        names.FINDING_TRACES_EXPOSED: finding.impact.traces_exposed,
    }


def _links(findings: Sequence[Finding]) -> list[otlpjson.Link]:
    """One link per evidence span; the first of every finding before the second of any."""
    per_finding = [
        [
            otlpjson.Link(
                trace_id=span.trace_id,
                span_id=span.span_id,
                attributes={
                    names.FINDING_ID: finding.fingerprint,
                    names.EVIDENCE_ROLE: span.role.value,
                },
            )
            for span in finding.evidence
        ]
        for finding in findings
    ]
    return [link for link in chain.from_iterable(zip_longest(*per_finding)) if link is not None]


def _references(evidence: Sequence[Evidence]) -> str:
    """JSON text, because SigNoz types only flat values and Loki knows no others."""
    return json.dumps(
        [
            {"trace_id": span.trace_id, "span_id": span.span_id, "role": span.role.value}
            for span in evidence[:EVIDENCE_MAX]
        ],
        separators=(",", ":"),
    )


def _headline(finding: Finding) -> str:
    """One line for a person: what, how often, at what price."""
    impact = finding.impact
    facts = [f"{impact.traces_affected:,} of {impact.traces_exposed:,} traces"]
    if impact.tokens_wasted:
        facts.append(f"{impact.tokens_wasted:,} tokens wasted")
    if impact.seconds_wasted >= 1:
        facts.append(f"{impact.seconds_wasted:,.0f} s wasted")
    if impact.cost_wasted >= 0.01:
        facts.append(f"${impact.cost_wasted:,.2f} wasted")
    title = line(finding.title, TITLE_BYTES_MAX)
    return line(f"[{finding.status.value}] {title} ({', '.join(facts)})", BODY_BYTES_MAX)
