"""Checked claims as findings, and as what is added to a finding that is known."""

from dataclasses import dataclass
from typing import Final

from halo_otel.analysis.claims.statistics import wilson
from halo_otel.analysis.claims.wording import plain, quoted
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
from halo_otel.model.span import SpanId, TraceId
from halo_otel.recursion.checking import Accepted
from halo_otel.recursion.environment.environment import Environment

SURE: Final = 0.8  # held, was not refuted, and failed runs show it more often than chance explains
UNSURE: Final = 0.6  # a hypothesis: told as information
_CHARS: Final = 800
_TITLE_CHARS: Final = 120

_SPAN: Final = "select end_ns, resource_id from spans where trace_id = ? and span_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is added to a finding."""

    statement: str
    recommendation: str


def explained(accepted: Accepted) -> Explanation:
    """A claim about a finding."""
    claim = accepted.verified.claim
    hedge = "" if accepted.sure else "Perhaps: "
    return Explanation(
        statement=hedge + plain(claim.statement, _CHARS),
        recommendation=plain(claim.recommendation, _CHARS),
    )


def finding_of(accepted: Accepted, cluster: str, environment: Environment) -> Finding:
    """A claim about runs that no finding names. Its identity is what and whom it is about, not its words."""
    verified = accepted.verified
    claim, contrast = verified.claim, verified.contrast
    subject = Subject(**claim.subject.model_dump())
    matters = contrast is not None and contrast.matters and accepted.sure
    exposed = max(len(verified.traces), len(environment.among(None)))
    share = len(verified.traces) / max(1, exposed)
    statement = plain(claim.statement, _CHARS)
    effect = (
        Effect(measure="share of runs", value=share, ci=wilson(len(verified.traces), exposed))
        if contrast is None
        else Effect(
            measure="risk ratio",
            value=contrast.ratio.value,
            ci=(contrast.ratio.low, contrast.ratio.high),
        )
    )
    evidence = _evidence(accepted, environment)
    return Finding(
        fingerprint=fingerprint("model", subject, accepted.category, cluster),
        detector="model",
        category=accepted.category,
        title=statement.split(". ")[0][:_TITLE_CHARS],
        summary=f"{statement} (Found by the model; its figures, quotes and spans were checked.)",
        subject=subject,
        severity=_severity(claim.severity, matters=matters),
        confidence=SURE if matters else UNSURE,
        impact=Impact(
            traces_affected=len(verified.traces),
            traces_exposed=exposed,
            failed_traces_attributable=float(contrast.failed_shown)
            if contrast and matters
            else 0.0,
        ),
        effect=effect,
        traces=tuple(TraceId(trace) for trace in verified.traces),
        evidence=evidence,
        root_cause=_root_cause(accepted),
        recommendation=plain(claim.recommendation, _CHARS),
        priority=round((SURE if matters else UNSURE) * share / 2, 6),
        tier="model",
        first_seen_ns=min((one.time_ns for one in evidence), default=0),
        last_seen_ns=max((one.time_ns for one in evidence), default=0),
    )


def _severity(proposed: Severity, *, matters: bool) -> Severity:
    """What is not shown to matter is information; the worst a model may say is `error`."""
    if not matters:
        return Severity.INFO
    return min(proposed, Severity.ERROR, key=lambda one: one.number)


def _evidence(accepted: Accepted, environment: Environment) -> tuple[Evidence, ...]:
    claim = accepted.verified.claim
    quotes = {(one.trace_id, one.span_id): one.text for one in reversed(claim.quotes)}
    cause = None if claim.edge is None else (claim.edge.trace_id, claim.edge.from_span)
    found = []
    for one in claim.spans:
        place = (one.trace_id, one.span_id)
        ((end_ns, resource_id),) = environment.rows(_SPAN, list(place))
        quote = quotes.get(place)
        found.append(
            Evidence(
                trace_id=TraceId(one.trace_id),
                span_id=SpanId(one.span_id),
                role=Role.CAUSE if place == cause else Role.SYMPTOM,
                note=f"says {quoted(plain(quote))}" if quote else "shows it",
                time_ns=end_ns,
                resource=environment.resource(resource_id),
            )
        )
    return tuple(found)


def _root_cause(accepted: Accepted) -> RootCause | None:
    edge = accepted.verified.claim.edge
    if edge is None or not accepted.sure:
        return None
    return RootCause(
        trace_id=TraceId(edge.trace_id),
        span_id=SpanId(edge.from_span),
        why=f"by the {edge.kind} edge to span {edge.to_span}",
    )
