"""The reduce side of an analysis: all judgements in sight become ranked findings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from halo_otel.analysis import cohorts
from halo_otel.analysis.causality import outcome
from halo_otel.analysis.causality.causes import EDGES
from halo_otel.analysis.claims import folding, policy
from halo_otel.analysis.claims.gate import assess, harm
from halo_otel.analysis.claims.gathering import gather
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.claims.ranking import rank
from halo_otel.analysis.claims.wording import TEXT_CHARS_MAX, Sentences, plain
from halo_otel.analysis.detectors import BY_NAME, DETECTORS
from halo_otel.analysis.judgement import Judgement
from halo_otel.config import sections
from halo_otel.model.finding import Effect, Evidence, Finding, Role, RootCause
from halo_otel.model.report import Abstention, Coverage
from halo_otel.model.span import Attributes, TraceId

_SYMPTOMS_SHOWN = 3
_CAPTURED_MIN = 0.5  # share of calls with known payload below which detectors say that they abstain


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Findings, highest priority first, and how well the traces could be judged.

    `sightings` are the traces that show each pattern, by fingerprint, also of the patterns that are no
    finding this time: what is not reported is not thereby gone. `unreported` findings were left out by
    `analysis.max_findings`. `ended` counts the traces by service, agent and whether they failed.
    """

    findings: tuple[Finding, ...]
    coverage: Coverage
    sightings: Mapping[str, frozenset[TraceId]]
    ended: Mapping[tuple[str, str, bool | None], int]
    unreported: int = 0


def reduce(
    judgements: Sequence[Judgement],
    *,
    settings: sections.Analysis,
    resources: Mapping[int, Attributes],
    among: Sequence[Judgement] = (),
) -> Reduced:
    """What all judgements together say; their order does not matter.

    Where findings of several reductions are compared, `among` holds the judgements of all of them, so
    that the same fault has the same fingerprint in each.
    """
    ordered = outcome.settle(sorted(judgements, key=lambda judgement: judgement.trace_id))
    coverage = cover(ordered)
    patterns = gather(ordered, among)
    assessments = [
        found
        for pattern in patterns
        if (
            found := assess(
                pattern,
                ordered,
                settings=settings,
                captured=_calls_captured(ordered),
            )
        )
    ]
    kept, symptoms = folding.fold(assessments, ordered)
    ranked = rank(kept, ordered, limit=settings.max_findings)
    findings = [
        _finding(
            assessment,
            priority,
            symptoms.get(assessment.pattern.fingerprint, ()),
            ordered,
            settings,
            resources,
        )
        for assessment, priority in ranked
    ]
    findings += cohorts.find(ordered, settings=settings, resources=resources)
    findings = policy.allowed(findings, settings)
    findings.sort(key=lambda finding: -finding.priority)
    return Reduced(
        findings=tuple(findings[: settings.max_findings]),
        coverage=coverage,
        sightings={
            pattern.fingerprint: frozenset(ordered[place].trace_id for place in pattern.hits)
            for pattern in patterns
        },
        ended=Counter(
            (judgement.service, judgement.agent, judgement.failed) for judgement in ordered
        ),
        unreported=len(kept) - len(ranked) + max(0, len(findings) - settings.max_findings),
    )


def cover(judgements: Sequence[Judgement]) -> Coverage:
    """Shares of calls and turns with known payload, of traces with known outcome; 1 where are none."""
    operations = sum(judgement.calls + judgement.turns for judgement in judgements)
    told = sum(judgement.calls_captured + judgement.turns_captured for judgement in judgements)
    captured = _calls_captured(judgements)
    known = sum(judgement.failed is not None for judgement in judgements)
    abstained: tuple[Abstention, ...] = ()
    if captured < _CAPTURED_MIN:
        needy = [detector.name for detector in DETECTORS if detector.needs_payload]
        why = (
            f"arguments or results of {1 - captured:.0%} of the tool calls are unknown"
            f" ({_gaps(judgements)}): turn on content capture in the instrumentation"
        )
        abstained = tuple(Abstention(detector=name, why=why) for name in needy)
    return Coverage(
        payload_captured=round(told / operations, 4) if operations else 1.0,
        outcome_known=round(known / len(judgements), 4) if judgements else 1.0,
        detectors_abstained=abstained,
    )


def _calls_captured(judgements: Sequence[Judgement]) -> float:
    """Share of tool calls with known arguments and answer; 1 without calls."""
    calls = sum(judgement.calls for judgement in judgements)
    return sum(judgement.calls_captured for judgement in judgements) / calls if calls else 1.0


def _gaps(judgements: Sequence[Judgement]) -> str:
    """Why payloads are unknown, commonest first: `48 absent, 3 redacted`."""
    gaps: Counter[str] = Counter()
    for judgement in judgements:
        gaps.update(judgement.gaps)
    return ", ".join(f"{n} {why}" for why, n in gaps.most_common())


def _finding(
    assessment: Assessment,
    priority: float,
    symptoms: Sequence[folding.Symptom],
    judgements: Sequence[Judgement],
    settings: sections.Analysis,
    resources: Mapping[int, Attributes],
) -> Finding:
    pattern, sentences = assessment.pattern, _sentences(assessment)
    evidence = _evidence(assessment, judgements, settings.max_evidence, resources)
    cause = next((spot for spot in evidence if spot.role is Role.CAUSE), None)
    affected = [judgements[place] for place in pattern.hits]
    return Finding(
        fingerprint=pattern.fingerprint,
        detector=pattern.first.detector,
        category=pattern.first.category,
        title=sentences.title,
        summary=f"{sentences.summary}{_also(symptoms)}{outcome.sentence(affected)}",
        subject=pattern.first.subject,
        severity=assessment.severity,
        confidence=assessment.confidence,
        impact=assessment.impact,
        effect=Effect(measure="rate of traces", value=assessment.rate, ci=assessment.ci),
        traces=tuple(judgement.trace_id for judgement in affected),
        evidence=evidence,
        root_cause=None
        if cause is None
        else RootCause(
            trace_id=cause.trace_id, span_id=cause.span_id, why=_why(sentences.why, symptoms)
        ),
        recommendation=sentences.recommendation,
        priority=priority,
        first_seen_ns=min(judgement.start_ns for judgement in affected),
        last_seen_ns=max(judgement.end_ns for judgement in affected),
    )


def _also(symptoms: Sequence[folding.Symptom]) -> str:
    """The findings it explains, as sentences after others."""
    return "".join(
        f" It explains “{_sentences(one.assessment).title}” in {one.traces} of the"
        f" {len(one.assessment.pattern.hits)} traces that show it."
        for one in symptoms[:_SYMPTOMS_SHOWN]
    )


def _why(why: str, symptoms: Sequence[folding.Symptom]) -> str:
    """Why the cause is blamed, and the evidence that leads from it to what else is seen."""
    edges = sorted({EDGES[one.edge] for one in symptoms if one.edge in EDGES})
    return f"{why}; what fails after it {' or '.join(edges)}" if edges else why


def _sentences(assessment: Assessment) -> Sentences:
    return BY_NAME[assessment.pattern.first.detector].tell(assessment)


def _evidence(
    assessment: Assessment,
    judgements: Sequence[Judgement],
    limit: int,
    resources: Mapping[int, Attributes],
) -> tuple[Evidence, ...]:
    """The spots of the traces it harms most, cause first."""
    hits = assessment.pattern.hits

    def worst_first(place: int) -> tuple[float, str]:
        worst = max(
            sum(harm(h, judgements[place], harmful=assessment.harmful)) for h in hits[place]
        )
        return -round(worst, 9), judgements[place].trace_id

    evidence: dict[tuple[str, str], Evidence] = {}  # two hits of a trace may share a span
    for place in sorted(hits, key=worst_first)[:limit]:
        trace_id = judgements[place].trace_id
        for spot in (spot for hit in hits[place] for spot in hit.spots):
            shown = Evidence(
                trace_id=trace_id,
                span_id=spot.span_id,
                role=spot.role,
                note=plain(spot.note, 2 * TEXT_CHARS_MAX),
                time_ns=spot.time_ns,
                resource=resources.get(spot.resource_id, {}),
            )
            evidence.setdefault((trace_id, spot.span_id), shown)
    return tuple(evidence.values())[:limit]
