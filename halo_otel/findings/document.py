"""A finding's claim as one text column, and back.

Everything that has no column of its own in `findings` and does not belong to the lifecycle. Written
in the encoding of `otlp.anyvalue`, so resources of agents keep every value type and intervals may be
infinite. Evidence mostly shares its resource; each distinct one is written once.
"""

from typing import Any

from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    RootCause,
    Severity,
    Subject,
)
from halo_otel.otlp import anyvalue


def dumps(finding: Finding) -> str:
    """The claim of `finding` as text; its history and its traces are left out."""
    resources: dict[str, int] = {}
    evidence: list[Any] = []
    for span in finding.evidence:
        resource = resources.setdefault(anyvalue.to_json(dict(span.resource)), len(resources))
        evidence.append(
            [span.trace_id, span.span_id, span.role.value, span.note, span.time_ns, resource]
        )
    subject, impact, effect, cause = (
        finding.subject,
        finding.impact,
        finding.effect,
        finding.root_cause,
    )
    return anyvalue.to_json(
        {
            "detector": finding.detector,
            "category": finding.category,
            "title": finding.title,
            "summary": finding.summary,
            "subject": [
                subject.service,
                subject.agent,
                subject.tool,
                subject.model,
                dict(subject.attributes),
            ],
            "severity": finding.severity.value,
            "confidence": float(finding.confidence),
            "impact": [
                impact.traces_affected,
                impact.traces_exposed,
                float(impact.failed_traces_attributable),
                impact.tokens_wasted,
                float(impact.cost_wasted),
                float(impact.seconds_wasted),
            ],
            "effect": [
                effect.measure,
                float(effect.value),
                float(effect.ci[0]),
                float(effect.ci[1]),
                None if effect.p_adjusted is None else float(effect.p_adjusted),
            ],
            "evidence": evidence,
            "resources": list(resources),
            "root_cause": None if cause is None else [cause.trace_id, cause.span_id, cause.why],
            "recommendation": finding.recommendation,
            "priority": float(finding.priority),
            "tier": finding.tier,
        }
    )


def loads(fingerprint: str, text: str) -> Finding:
    """The finding whose claim is `text`, without history and traces."""
    claim: Any = anyvalue.from_json(text)
    resources: list[Any] = [anyvalue.from_json(resource) for resource in claim["resources"]]
    service, agent, tool, model, attributes = claim["subject"]
    measure, value, low, high, p_adjusted = claim["effect"]
    affected, exposed, failed, tokens, cost, seconds = claim["impact"]
    cause = claim["root_cause"]
    return Finding(
        fingerprint=fingerprint,
        detector=claim["detector"],
        category=claim["category"],
        title=claim["title"],
        summary=claim["summary"],
        subject=Subject(
            service=service, agent=agent, tool=tool, model=model, attributes=attributes
        ),
        severity=Severity(claim["severity"]),
        confidence=claim["confidence"],
        impact=Impact(
            traces_affected=affected,
            traces_exposed=exposed,
            failed_traces_attributable=failed,
            tokens_wasted=tokens,
            cost_wasted=cost,
            seconds_wasted=seconds,
        ),
        effect=Effect(measure=measure, value=value, ci=(low, high), p_adjusted=p_adjusted),
        traces=(),
        evidence=tuple(
            Evidence(
                trace_id=trace_id,
                span_id=span_id,
                role=Role(role),
                note=note,
                time_ns=time_ns,
                resource=resources[resource],
            )
            for trace_id, span_id, role, note, time_ns, resource in claim["evidence"]
        ),
        root_cause=cause and RootCause(trace_id=cause[0], span_id=cause[1], why=cause[2]),
        recommendation=claim["recommendation"],
        priority=claim["priority"],
        tier=claim["tier"],
    )
