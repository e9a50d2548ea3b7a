"""Checked claims as findings, and as what is added to a finding that is known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from halo_otel.analysis.claims.statistics import wilson
from halo_otel.analysis.claims.wording import plain, quoted
from halo_otel.model.finding import (
    MODEL_TIER,
    Effect,
    Evidence,
    Explanation,
    Finding,
    Impact,
    Role,
    RootCause,
    Severity,
    Subject,
    fingerprint,
)
from halo_otel.model.span import SpanId, TraceId
from halo_otel.recursion.claims.checking import Accepted
from halo_otel.recursion.claims.claim import Claim
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.local import Local

SURE: Final = 0.8  # held, was not refuted, and failed runs show it more often than chance explains
UNSURE: Final = 0.6  # a hypothesis: told as information
_CHARS: Final = 800
_TITLE_CHARS: Final = 120

_SPAN: Final = "select end_ns, resource_id from spans where trace_id = ? and span_id = ?"


def explained(accepted: Accepted) -> Explanation:
    """A claim about a finding."""
    claim = accepted.verified.claim
    hedge = "" if accepted.sure else "Perhaps: "
    return Explanation(
        statement=hedge + plain(claim.statement, _CHARS),
        recommendation=_advice(claim),
    )


def with_explanations(
    finding: Finding,
    accepted: Sequence[Accepted],
    parts: Sequence[Local],
    environment: Environment,
) -> Finding:
    """`finding` with what claims say about it, and the places that show it, if it was looked at twice."""
    if not accepted:
        return finding
    told = [explained(one) for one in accepted]
    return replace(
        finding,
        explanation=Explanation(
            statement=" ".join(one.statement for one in told),
            recommendation=" ".join(one.recommendation for one in told if one.recommendation),
        ),
        evidence=finding.evidence + _places(parts, accepted, finding.evidence, environment),
    )


def finding_of(
    accepted: Accepted, cluster: str, environment: Environment, parts: Sequence[Local] = ()
) -> Finding:
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
    evidence += _places(parts, [accepted], evidence, environment)
    return Finding(
        fingerprint=identity(subject, accepted.category, cluster),
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
        recommendation=_advice(claim),
        priority=round((SURE if matters else UNSURE) * share / 2, 6),
        tier=MODEL_TIER,
        first_seen_ns=min((one.time_ns for one in evidence), default=0),
        last_seen_ns=max((one.time_ns for one in evidence), default=0),
    )


def _advice(claim: Claim) -> str:
    """What to change, and the places in the code that were cited and found."""
    advice = plain(claim.recommendation, _CHARS)
    if not claim.code:
        return advice
    places = dict.fromkeys(f"{plain(one.path, _CHARS)}:{one.line}" for one in claim.code)
    return f"{advice} See {', '.join(places)}.".strip()


def identity(subject: Subject, category: str, cluster: str) -> str:
    """The fingerprint of what the model found in a cluster."""
    return fingerprint("model", subject, category, cluster)


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
        quote = quotes.get(place)
        role = Role.CAUSE if place == cause else Role.SYMPTOM
        note = f"says {quoted(plain(quote))}" if quote else "shows it"
        found.append(_place(*place, role, note, environment))
    return tuple(found)


def _places(
    parts: Sequence[Local],
    accepted: Sequence[Accepted],
    known: Sequence[Evidence],
    environment: Environment,
) -> tuple[Evidence, ...]:
    """Where parts of the run were judged bad, once a claim about it was confirmed."""
    if not any(one.sure for one in accepted):
        return ()
    found = []
    for part in parts:
        quote = part.quote
        if any((quote.trace_id, quote.span_id) == (one.trace_id, one.span_id) for one in known):
            continue
        note = f"the model judged {quoted(part.judged.goal)} bad here: says {quoted(plain(quote.text))}"
        found.append(_place(quote.trace_id, quote.span_id, Role.SYMPTOM, note, environment))
    return tuple(found)


def _place(
    trace_id: str, span_id: str, role: Role, note: str, environment: Environment
) -> Evidence:
    ((end_ns, resource_id),) = environment.rows(_SPAN, [trace_id, span_id])
    return Evidence(
        trace_id=TraceId(trace_id),
        span_id=SpanId(span_id),
        role=role,
        note=note,
        time_ns=end_ns,
        resource=environment.resource(resource_id),
    )


def _root_cause(accepted: Accepted) -> RootCause | None:
    edge = accepted.verified.claim.edge
    if edge is None or not accepted.sure:
        return None
    return RootCause(
        trace_id=TraceId(edge.trace_id),
        span_id=SpanId(edge.from_span),
        why=f"by the {edge.kind} edge to span {edge.to_span}",
    )
