"""Which patterns are findings, how sure they are, how bad, and what they cost.

Systemic gate (detectors.md §2.3): at least `min_traces` distinct traces, of at least two sessions
where sessions are known (or 1 % of the traces that could show it), and a rate whose Wilson lower
bound is above 1 %. What most successful runs do is how the agent works, not a fault (§1.3).

A pattern that stays below the gate is shown as `info` when it is hard to overlook: ten repetitions in
one trace, or an unrecovered fault in a window of fewer than 30 traces, where nothing can be systemic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from halo_otel.analysis.hit import Grade, Hit
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.pattern import Pattern
from halo_otel.analysis.statistics import risk_ratio_low, wilson
from halo_otel.model.finding import Impact, Severity

RATE_FLOOR: Final = 0.01
SESSIONS_MIN: Final = 2
SURE_MIN: Final = 0.8  # from here on a finding may be a warning (detectors.md §2.4)
SUSPECT_MIN: Final = 0.5  # below: hidden

_NORMAL_SHARE: Final = 0.5
_NORMAL_RUNS_MIN: Final = 5
_REPEATS_OF_HABIT: Final = {"loop": 2, "redundant_call": 1}
_SMALL_WINDOW_TRACES: Final = 30
_STRONG: Final = (
    10  # OpenHands stops a run after 4 repeats, Gemini CLI after 5; twice that is no accident
)
_STRONG_IN_SMALL_WINDOW: Final = 3
_ISOLATED_CONFIDENCE: Final = 0.7

# Precision each detector is trusted with: measured 1.00 on planted faults and no false loop on
# tau-bench (detectors.md §0), set lower by hand; not calibrated on labels yet.
_PRIOR: Final = {
    "error_signature": 0.96,
    "loop": 0.97,
    "retry_storm": 0.97,
    "redundant_call": 0.96,
    "latency": 0.96,
    "instrumentation": 1.0,  # it counts what is there
}
# §2.4 gives an inferred fact .7; a pattern is seen in several independent traces, so it loses half
# of that distance.
_GRADE: Final = {Grade.EXPLICIT: 1.0, Grade.INFERRED: 0.87}

_NEED_NO_PAYLOAD: Final = ("error", "latency", "instrumentation")
_GAP_RATE_MIN: Final = 0.5  # an operator who samples content has chosen to

_WASTE_FLOOR: Final = 0.01  # detectors.md §2.3 #6
_EFFICIENCY_RATE_WARN: Final = 0.05  # lower bound of the rate from which mere inefficiency warns
_RECOVERED_RATE_WARN: Final = 0.2  # … from which errors the agents recover from do
_ERROR_RATE: Final = 0.2  # lower bound of the rate from which unrecovered errors are an error
_FATAL_RATE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A pattern that is a finding."""

    pattern: Pattern
    rate: float
    ci: tuple[float, float]
    confidence: float
    severity: Severity
    impact: Impact
    systemic: bool
    harmful: bool  # the traces it is in fail more often than the others
    recovered_share: float


def assess(
    pattern: Pattern, judgements: Sequence[Judgement], *, min_traces: int, captured: float
) -> Assessment | None:
    """The finding in `pattern`, None where there is none. `captured`: share of known payloads."""
    affected = len(pattern.hits)
    exposed = max(affected, pattern.exposure.traces(True, False, None))
    ci = wilson(affected, exposed)
    systemic = _is_systemic(pattern, judgements, min_traces, affected / exposed, ci[0])
    if _is_habit(pattern, judgements) or _is_negligible(pattern):
        return None
    if pattern.first.category == "instrumentation" and affected < _GAP_RATE_MIN * exposed:
        return None
    if not systemic and not _stands_out(pattern, judgements):
        return None
    confidence = _confidence(pattern, captured, systemic=systemic)
    if confidence < SUSPECT_MIN:
        return None
    impact, harmful = _impact(pattern, judgements, exposed)
    hits = [hit for found in pattern.hits.values() for hit in found]
    recovered = sum(hit.recovered for hit in hits) / len(hits)
    return Assessment(
        pattern=pattern,
        rate=affected / exposed,
        ci=ci,
        confidence=confidence,
        severity=_severity(pattern, ci[0], confidence, impact, recovered, harmful=harmful),
        impact=impact,
        systemic=systemic,
        harmful=harmful,
        recovered_share=recovered,
    )


def _is_systemic(
    pattern: Pattern, judgements: Sequence[Judgement], min_traces: int, rate: float, low: float
) -> bool:
    sessions = {judgements[place].session for place in pattern.hits}
    spread = None in sessions or len(sessions) >= SESSIONS_MIN or rate >= RATE_FLOOR
    return len(pattern.hits) >= min_traces and spread and low >= RATE_FLOOR


def _is_habit(pattern: Pattern, judgements: Sequence[Judgement]) -> bool:
    """Whether most of the agent's successful runs do the same (of a tool's latency: most that use it).

    Repeats count wherever they stand: a heartbeat belongs to the work whether it falls into a row or
    between other calls. Where too few runs are known to have succeeded, those not known to have failed
    stand in.
    """
    category = pattern.first.category
    runs = pattern.exposure if category == "latency" else pattern.agent_work
    outcomes: tuple[bool | None, ...] = (False,)
    if runs.traces(*outcomes) < _NORMAL_RUNS_MIN:
        outcomes = (False, None)
    good = runs.traces(*outcomes)
    if category == "latency":
        alike = sum(judgements[place].failed in outcomes for place in pattern.hits)
    elif category in _REPEATS_OF_HABIT:
        repeats_min = _REPEATS_OF_HABIT[category]
        alike = pattern.exposure.traces(*outcomes, repeats_min=repeats_min)
    else:
        return False
    return good >= _NORMAL_RUNS_MIN and alike > _NORMAL_SHARE * good


def _is_negligible(pattern: Pattern) -> bool:
    """Whether redundant work is below 1 % of the agent's calls and of its time."""
    if pattern.first.category != "redundant_call":
        return False
    wastes = [hit.waste for found in pattern.hits.values() for hit in found]
    work = pattern.agent_work
    calls, ns = sum(waste.calls for waste in wastes), sum(waste.ns for waste in wastes)
    return calls < _WASTE_FLOOR * work.calls and ns < _WASTE_FLOOR * work.ns


def _stands_out(pattern: Pattern, judgements: Sequence[Judgement]) -> bool:
    hits = [hit for found in pattern.hits.values() for hit in found if not hit.recovered]
    strongest = max((hit.strength for hit in hits), default=0)
    category = pattern.first.category
    if category in ("latency", "redundant_call", "instrumentation"):
        return False
    if category != "error" and strongest >= _STRONG:
        return True
    small = len(judgements) < _SMALL_WINDOW_TRACES
    return small and bool(hits) and (category == "error" or strongest >= _STRONG_IN_SMALL_WINDOW)


def _confidence(pattern: Pattern, captured: float, *, systemic: bool) -> float:
    """Prior precision × evidence grade × capture; an exact fact's statistical part is 1 (§2.4).

    Where payloads are missing the exposed traces are fewer than counted, so up to a tenth is taken
    off the claims that need payloads.
    """
    first = pattern.first
    grade = min(_GRADE[hit.grade] for found in pattern.hits.values() for hit in found)
    capture = 1.0 if first.category in _NEED_NO_PAYLOAD else 0.9 + 0.1 * captured
    confidence = _PRIOR[first.detector] * grade * capture
    return round(confidence if systemic else min(confidence, _ISOLATED_CONFIDENCE), 4)


def _impact(pattern: Pattern, judgements: Sequence[Judgement], exposed: int) -> tuple[Impact, bool]:
    """Costs of the extra work, and the failures that would not have been.

    Attributable failures are the population attributable fraction at the lower bound of the risk
    ratio, P(pattern | failed) (1 - 1/RR), times the failed traces (Miettinen 1974).
    """
    outcomes = [judgements[place].failed for place in pattern.hits]
    failed, known = outcomes.count(True), len(outcomes) - outcomes.count(None)
    exposure = pattern.exposure
    others_failed = max(0, exposure.traces(True) - failed)
    others = max(0, exposure.traces(True, False) - known)
    ratio = risk_ratio_low(failed, known, others_failed, others)
    attributable = failed * (1 - 1 / ratio) if ratio > 1 else 0.0
    wastes = [hit.waste for found in pattern.hits.values() for hit in found]
    impact = Impact(
        traces_affected=len(pattern.hits),
        traces_exposed=exposed,
        failed_traces_attributable=round(attributable, 2),
        tokens_wasted=sum(waste.tokens for waste in wastes),
        cost_wasted=round(sum(waste.cost for waste in wastes), 6),
        seconds_wasted=round(sum(waste.ns for waste in wastes) / 1e9, 3),
    )
    return impact, ratio > 1


def _severity(
    pattern: Pattern,
    rate_low: float,
    confidence: float,
    impact: Impact,
    recovered: float,
    *,
    harmful: bool,
) -> Severity:
    """info: not sure, harmless and rare, or about the telemetry · error: runs fail of it, or 20 % meet a recorded error they
    do not recover from · fatal: so in half of the runs · warn: the rest."""
    category = pattern.first.category
    if confidence < SURE_MIN or category == "instrumentation":
        return Severity.INFO
    unrecovered = category in ("error", "retry_storm") and recovered < 0.5
    if harmful and impact.failed_traces_attributable >= 1:
        return Severity.FATAL if rate_low >= _FATAL_RATE else Severity.ERROR
    if unrecovered and rate_low >= _ERROR_RATE and pattern.first.grade is Grade.EXPLICIT:
        return Severity.ERROR
    if category == "error" and not unrecovered and rate_low < _RECOVERED_RATE_WARN:
        return Severity.INFO
    if category == "redundant_call" and rate_low < _EFFICIENCY_RATE_WARN:
        return Severity.INFO
    return Severity.WARN


def harm(hit: Hit, judgement: Judgement, *, harmful: bool) -> tuple[float, float]:
    """What `hit` explains of its trace: the failure (0 or 1), and the share of its time,
    tokens or cost that was wasted (0..1).

    A trace that is merely affected counts a twentieth, so that harmless patterns still have an order.
    What telemetry lacks harms no trace: it stands below everything that does.
    """
    if hit.category == "instrumentation":
        return 0.0, 0.0
    blamed = harmful or (hit.category == "error" and not hit.recovered)
    duration = max(1, judgement.end_ns - judgement.start_ns)
    share = max(
        hit.waste.ns / duration,
        hit.waste.tokens / max(1, judgement.tokens),
        hit.waste.cost / judgement.cost if judgement.cost else 0.0,
    )
    return float(judgement.failed is True and blamed), 0.05 + 0.95 * min(1.0, share)
