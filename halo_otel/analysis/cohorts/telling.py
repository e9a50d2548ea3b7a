"""A cohort as a finding: sentences, severity, impact, evidence with contrast."""

from collections.abc import Mapping, Sequence
from typing import Final

from halo_otel.analysis.causality import origins
from halo_otel.analysis.causality.inference import ratio_of_levels
from halo_otel.analysis.claims.statistics import wilson
from halo_otel.analysis.claims.wording import plain, quoted
from halo_otel.analysis.cohorts.mining import Cohort, Condition
from halo_otel.analysis.cohorts.outcomes import Outcome, seconds
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

LEVEL_RATIO_MIN: Final = 1.2  # detectors.md §1.7: Hodges–Lehmann ratio from which a shift matters
CONFIDENCE: Final = 0.9  # at an adjusted level of 1 %; the rest is for what nobody recorded
_ERROR_RATE: Final = 0.2  # lower bound of a cohort's failure rate from which it is an error
_MOST: Final = 0.5  # … and that of a task, which may just be harder than others
_ALIKE_SHOWN: Final = 3
_MERELY_AFFECTED: Final = (
    0.05  # harm of a slow or costly run beside a failed one, as in `gate.harm`
)


def tell(
    cohort: Cohort,
    outcome: Outcome,
    compared: Sequence[Judgement],
    traces: int,
    evidence_max: int,
    resources: Mapping[int, Attributes],
) -> Finding | None:
    """The finding in `cohort`; None where slow or costly runs are hardly more so.

    `compared` are the judgements behind the cohort's places, `traces` how many there are in all.
    """
    members = [compared[place] for place in cohort.places]
    inside = set(cohort.places)
    rest = [judgement for place, judgement in enumerate(compared) if place not in inside]
    if outcome.amount is not None:
        level = ratio_of_levels(
            [outcome.amount(j) for j in members], [outcome.amount(j) for j in rest]
        )
        if level.low < LEVEL_RATIO_MIN:
            return None
    bad = _bad(compared, outcome, cohort)
    service = members[0].service
    subject = Subject(service=service, attributes=dict(cohort.conditions))
    replaced = _replaced(cohort.conditions, members, rest)
    detector = "version_regression" if replaced else "cohort"
    excess = max(0.0, cohort.excess)
    failing = outcome.amount is None
    harm = 1.0 if failing else _MERELY_AFFECTED
    return Finding(
        fingerprint=fingerprint(detector, subject, outcome.name),
        detector=detector,
        category="regression" if replaced else "cohort",
        title=_title(cohort, outcome, service, replaced=replaced),
        summary=_summary(cohort, outcome),
        subject=subject,
        severity=_severity(cohort, outcome),
        confidence=CONFIDENCE,
        impact=Impact(
            traces_affected=len(bad),
            traces_exposed=len(members),
            failed_traces_attributable=round(excess, 2) if failing else 0.0,
            seconds_wasted=0.0,
        ),
        effect=Effect(
            measure="risk ratio",
            value=cohort.ratio.value,
            ci=(cohort.ratio.low, cohort.ratio.high),
            p_adjusted=cohort.p_adjusted,
        ),
        traces=tuple(judgement.trace_id for judgement in bad),
        evidence=_evidence(bad, rest, outcome, cohort, evidence_max, resources),
        root_cause=None,
        recommendation=_recommendation(cohort, outcome, replaced=replaced),
        priority=round(CONFIDENCE * harm * excess / (2 * max(1, traces)), 6),
        first_seen_ns=min(judgement.start_ns for judgement in bad),
        last_seen_ns=max(judgement.end_ns for judgement in bad),
    )


def described(conditions: Sequence[Condition]) -> str:
    """`version "2.3.1" and model "small"`."""
    return " and ".join(f"{name} {quoted(value)}" for name, value in conditions)


def _bad(compared: Sequence[Judgement], outcome: Outcome, cohort: Cohort) -> list[Judgement]:
    """The cohort's bad runs; of slow and costly ones the worst."""
    if outcome.amount is None:
        return [compared[place] for place in cohort.bad_places]
    amount = outcome.amount
    members = [compared[place] for place in cohort.places]
    worst = sorted(members, key=lambda j: (-amount(j), j.trace_id))[: cohort.bad]
    return sorted(worst, key=lambda judgement: judgement.trace_id)


def _replaced(
    conditions: Sequence[Condition], members: Sequence[Judgement], rest: Sequence[Judgement]
) -> bool:
    """Whether it is a version that came after most of the others' runs."""
    if len(conditions) != 1 or conditions[0][0] not in origins.VERSIONS:
        return False
    since_ns = min(judgement.start_ns for judgement in members)
    return 2 * sum(judgement.start_ns < since_ns for judgement in rest) >= len(rest)


def _severity(cohort: Cohort, outcome: Outcome) -> Severity:
    """Slow or costly by a version is a warning, by anything else mostly how things are. So is a task that fails
    more often than others, unless most of its runs do."""
    low, _ = wilson(cohort.bad, len(cohort.places))
    if low < _MOST and outcome.is_of_task(cohort.conditions):
        return Severity.INFO
    if outcome.amount is None:
        return Severity.ERROR if low >= _ERROR_RATE else Severity.WARN
    changed = all(name in origins.VERSIONS for name, _ in cohort.conditions)
    return Severity.WARN if changed else Severity.INFO


def _title(cohort: Cohort, outcome: Outcome, service: str, *, replaced: bool) -> str:
    times = f"{cohort.ratio.value:.1f} times as often"
    since = f"Since {described(cohort.conditions)}, runs" if replaced else "Runs"
    given = "" if replaced else f" with {described(cohort.conditions)}"
    than = " as before" if replaced else ""
    return f"{since} of {quoted(service)}{given} {outcome.does} {times}{than}"


def _summary(cohort: Cohort, outcome: Outcome) -> str:
    total, rest = len(cohort.places), max(1, cohort.rest)
    within = "agents" if outcome.of_tasks else "agents and tasks"
    text = (
        f"{cohort.bad} of {total} runs with {described(cohort.conditions)} {outcome.does}"
        f" ({cohort.bad / total:.1%}), {cohort.rest_bad} of the {cohort.rest} others"
        f" ({cohort.rest_bad / rest:.1%}): {cohort.ratio.value:.1f} times as often, 95 % interval"
        f" {cohort.ratio.low:.1f} to {cohort.ratio.high:.1f}, compared within {within}."
    )
    if cohort.alike:
        shown = described(cohort.alike[:_ALIKE_SHOWN])
        text += f" Exactly the same runs have {shown}: which of these it is cannot be told apart."
    return text


def _recommendation(cohort: Cohort, outcome: Outcome, *, replaced: bool) -> str:
    name, value = cohort.conditions[0]
    saved = f" About {cohort.excess:.0f} of these {cohort.bad} runs would not {outcome.does}."
    if outcome.amount is not None:
        saved = ""
    if len(cohort.conditions) == 1 and name in origins.VERSIONS:
        verb = "Roll back" if replaced else "Hold back"
        return f"{verb} {name} {quoted(value)}, or compare it with the others: what changed?{saved}"
    if len(cohort.conditions) == 1 and name == "model":
        return (
            f"Send these runs to another model than {quoted(value)} until it is understood.{saved}"
        )
    return (
        f"Compare a failing run with {described(cohort.conditions)} and the contrast run beside it:"
        f" what is particular to them?{saved}"
    )


def _evidence(
    bad: Sequence[Judgement],
    rest: Sequence[Judgement],
    outcome: Outcome,
    cohort: Cohort,
    limit: int,
    resources: Mapping[int, Attributes],
) -> tuple[Evidence, ...]:
    """Roots of bad runs, then of good ones of the same agents without the attributes."""
    agents = {judgement.agent for judgement in bad}
    good = [j for j in rest if j.failed is not True and j.agent in agents]
    if outcome.amount is not None:
        good.sort(key=lambda judgement: (seconds(judgement), judgement.trace_id))
    contrasts = max(1, limit // 4)
    sure_first = sorted(bad, key=lambda judgement: judgement.failed is not True)
    note = f"a run with {described(cohort.conditions)}"
    shown = [(judgement, Role.SYMPTOM, note) for judgement in sure_first]
    beside = [(j, Role.CONTRAST, "a good run without it") for j in good[:contrasts]]
    return tuple(
        Evidence(
            trace_id=judgement.trace_id,
            span_id=judgement.origin.span_id,
            role=role,
            note=plain(note, 240),
            time_ns=judgement.origin.end_ns,
            resource=resources.get(judgement.origin.resource_id, {}),
        )
        for judgement, role, note in (*shown[: limit - len(beside)], *beside)
    )
