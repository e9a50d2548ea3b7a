"""A change for the worse as a finding of category `regression`."""

from collections.abc import Mapping, Sequence
from typing import Final

from halo_otel.analysis.claims.wording import plain, quoted
from halo_otel.analysis.judgement import Judgement
from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    Severity,
    Subject,
    fingerprint,
)
from halo_otel.model.span import Attributes

CONFIDENCE: Final = 0.9  # at a false discovery rate of 1 %; the rest is for what nobody recorded
_ERROR_RATE: Final = 0.2  # failing runs from which a regression is an error, as in `gate`


def regression(
    *,
    detector: str,
    subject: Subject,
    measure: str,
    title: str,
    summary: str,
    recommendation: str,
    effect: Effect,
    affected: Sequence[Judgement],
    exposed: Sequence[Judgement],
    excess: float,
    failing: bool,
    evidence_max: int,
    resources: Mapping[int, Attributes],
) -> Finding:
    """The finding. `affected` of the `exposed` runs show it, `excess` of them would not have before."""
    shown = set(map(id, affected))
    contrast = [j for j in exposed if id(j) not in shown and j.failed is not True]
    contrast = contrast[: max(1, evidence_max // 4)]
    severe = failing and len(affected) >= _ERROR_RATE * max(1, len(exposed))
    share = min(1.0, excess / max(1, len(exposed)))
    return Finding(
        fingerprint=fingerprint(detector, subject, measure),
        detector=detector,
        category="regression",
        title=title,
        summary=summary,
        subject=subject,
        severity=Severity.ERROR if severe else Severity.WARN,
        confidence=CONFIDENCE,
        impact=Impact(
            traces_affected=len(affected),
            traces_exposed=len(exposed),
            failed_traces_attributable=round(max(0.0, excess), 2) if failing else 0.0,
        ),
        effect=effect,
        traces=tuple(judgement.trace_id for judgement in affected),
        evidence=tuple(
            Evidence(
                trace_id=judgement.trace_id,
                span_id=judgement.origin.span_id,
                role=role,
                note=note,
                time_ns=judgement.origin.end_ns,
                resource=resources.get(judgement.origin.resource_id, {}),
            )
            for judgement, role, note in (
                *(
                    (j, Role.SYMPTOM, "a run that shows it")
                    for j in affected[: evidence_max - len(contrast)]
                ),
                *((j, Role.CONTRAST, "a run of the same agent that does not") for j in contrast),
            )
        ),
        root_cause=None,
        recommendation=recommendation,
        priority=round(CONFIDENCE * share / 2, 6),
        first_seen_ns=min((judgement.start_ns for judgement in affected), default=0),
        last_seen_ns=max((judgement.end_ns for judgement in affected), default=0),
    )


def whose(subject: Subject) -> str:
    """`agent "booker" of "shop"`."""
    parts = [f"agent {quoted(subject.agent)}"] if subject.agent is not None else []
    if subject.tool is not None:
        parts = [
            f"tool {quoted(subject.tool)} of {parts[0]}"
            if parts
            else f"tool {quoted(subject.tool)}"
        ]
    parts += [quoted(subject.service)] if subject.service else []
    return plain(" of ".join(parts), 240) or "everything"
