"""Which patterns are findings, how sure they are, how bad, and what they cost.

Systemic gate (detectors.md §2.3): at least `min_traces` distinct traces, of at least two sessions
where sessions are known (or 1 % of the traces that could show it), and a rate whose Wilson lower
bound is above 1 %. What most successful runs do is how the agent works, not a fault (§1.3).

Severity follows what a pattern does to runs (`_severity`): one that a run makes good is an extra step, not a
failure, so a fault warns by the traces in which it *lasts*, and then it is told about these alone.

A pattern that stays below the gate is shown as `info` when it is hard to overlook: ten repetitions in
one trace, or an unrecovered fault in a window of fewer than 30 traces, where nothing can be systemic.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from halo_otel.analysis.claims import policy
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Hit
from halo_otel.analysis.claims.pattern import Assessment, Pattern
from halo_otel.analysis.claims.statistics import risk_ratio_low, wilson
from halo_otel.analysis.detectors import BY_NAME
from halo_otel.analysis.judgement import Judgement
from halo_otel.config import sections
from halo_otel.model.finding import Impact, Severity

RATE_FLOOR: Final = 0.01
SESSIONS_MIN: Final = 2
SURE_MIN: Final = 0.8  # from here on a finding may be a warning (detectors.md §2.4)
SUSPECT_MIN: Final = 0.5  # below: hidden

_NORMAL_SHARE: Final = 0.5
_NORMAL_RUNS_MIN: Final = 5
_SMALL_WINDOW_TRACES: Final = 30
_STRONG: Final = (
    10  # OpenHands stops a run after 4 repeats, Gemini CLI after 5; twice that is no accident
)
_STRONG_IN_SMALL_WINDOW: Final = 3
_ISOLATED_CONFIDENCE: Final = 0.7

# §2.4 gives an inferred fact .7; a pattern is seen in several independent traces, so it loses half
# of that distance.
_GRADE: Final = {Grade.EXPLICIT: 1.0, Grade.INFERRED: 0.87}

# Mere inefficiency warns where it is common (lower bound of the rate) or takes much of the run it is in.
_EFFICIENCY_RATE_WARN: Final = 0.05
_EFFICIENCY_SHARE_WARN: Final = 0.1
_NEGLIGIBLE_SHARE: Final = 0.05  # … and below that of the runs it is in it goes by what all runs do
# A fault warns where it lasts in one run of fifty of the agent, or in one of five of those that could show it …
_LASTING_RATE_WARN: Final = 0.02
_ERROR_RATE: Final = 0.2  # … from which on it is an error, if it was recorded as such
# Made good it only takes a step more: that is worth a warning where it is usual, and no drop in the run.
_MADE_GOOD_RATE_WARN: Final = 0.2
_MADE_GOOD_SHARE_WARN: Final = 0.05
# A call that is wrong by what the agent was given is wrong again tomorrow: it warns where it is common.
_OWN_DOING_RATE_WARN: Final = 0.05
_FATAL_RATE: Final = 0.5


def assess(
    pattern: Pattern,
    judgements: Sequence[Judgement],
    *,
    settings: sections.Analysis,
    captured: float,
) -> Assessment | None:
    """The finding in `pattern`, None where there is none. `captured`: share of known payloads."""
    affected = len(pattern.hits)
    exposed = max(affected, pattern.exposure.traces(True, False, None))
    ci = wilson(affected, exposed)
    rule = policy.rule(pattern.first.detector, settings)
    min_traces = rule.min_traces or settings.min_traces
    systemic = _is_systemic(pattern, judgements, min_traces, affected / exposed, ci[0])
    detector = policy.detector(pattern.first.detector, settings)
    if not rule.enabled or affected < detector.rate_min * exposed:
        return None
    if _is_habit(detector, pattern, judgements) or _is_negligible(detector, pattern, judgements):
        return None
    if not systemic and not _stands_out(detector, pattern, judgements):
        return None
    confidence = _confidence(detector, pattern, captured, systemic=systemic)
    if confidence < SUSPECT_MIN:
        return None
    attributable, ratio_low = _attributable(pattern, judgements)
    if ratio_low < detector.risk_low_min and not _is_evident(pattern):
        return None
    severity, told = Severity.INFO, pattern
    if confidence >= SURE_MIN and detector.nature not in (Nature.ADVICE, Nature.TELEMETRY):
        harms = ratio_low > 1 and attributable >= 1
        severity, told = _severity(detector, pattern, exposed, judgements, harms=harms)
    hits = [hit for found in told.hits.values() for hit in found]
    return Assessment(
        pattern=told,
        rate=len(told.hits) / exposed,
        ci=wilson(len(told.hits), exposed),
        confidence=confidence,
        severity=severity,
        impact=_impact(told, exposed, attributable),
        systemic=systemic,
        harmful=ratio_low > 1,
        recovered_share=sum(hit.recovered for hit in hits) / len(hits),
        made_good=affected - len(told.hits),
    )


def _is_evident(pattern: Pattern) -> bool:
    """Whether most of its traces show the harm themselves."""
    shown = sum(any(hit.evident for hit in hits) for hits in pattern.hits.values())
    return 2 * shown > len(pattern.hits)


def _is_systemic(
    pattern: Pattern, judgements: Sequence[Judgement], min_traces: int, rate: float, low: float
) -> bool:
    sessions = {judgements[place].session for place in pattern.hits}
    spread = None in sessions or len(sessions) >= SESSIONS_MIN or rate >= RATE_FLOOR
    return len(pattern.hits) >= min_traces and spread and low >= RATE_FLOOR


def _is_habit(detector: Detector, pattern: Pattern, judgements: Sequence[Judgement]) -> bool:
    """Whether most of the successful runs do the same.

    Where too few runs are known to have succeeded, those not known to have failed stand in.
    """
    if detector.habit is Habit.NEVER:
        return False
    runs = pattern.exposure if detector.habit is Habit.SHOWN else pattern.agent_work
    outcomes: tuple[bool | None, ...] = (False,)
    if runs.traces(*outcomes) < _NORMAL_RUNS_MIN:
        outcomes = (False, None)
    good = runs.traces(*outcomes)
    if detector.habit is Habit.SHOWN:
        alike = sum(judgements[place].failed in outcomes for place in pattern.hits)
    else:
        alike = pattern.exposure.traces(*outcomes, repeats_min=detector.habit_repeats)
    return good >= _NORMAL_RUNS_MIN and alike > _NORMAL_SHARE * good


def _is_negligible(detector: Detector, pattern: Pattern, judgements: Sequence[Judgement]) -> bool:
    """Whether the extra work is below the detector's floor, of the agent's calls and of its time, and takes
    little of the runs it is in: what a few runs pay dearly for is not made small by the others."""
    wastes = [hit.waste for found in pattern.hits.values() for hit in found]
    work, floor = pattern.agent_work, detector.waste_floor
    calls, ns = sum(waste.calls for waste in wastes), sum(waste.ns for waste in wastes)
    if calls >= floor * work.calls or ns >= floor * work.ns:
        return False
    return _wasted(pattern, judgements) < max(floor, _NEGLIGIBLE_SHARE)


def _stands_out(detector: Detector, pattern: Pattern, judgements: Sequence[Judgement]) -> bool:
    hits = [hit for found in pattern.hits.values() for hit in found if not hit.recovered]
    if detector.isolated is Isolated.NEVER or not hits:
        return False
    if detector.isolated is Isolated.ALWAYS:
        return True
    small = len(judgements) < _SMALL_WINDOW_TRACES
    if detector.isolated is Isolated.ANY:
        return small
    strongest = max(hit.strength for hit in hits)
    return strongest >= (_STRONG_IN_SMALL_WINDOW if small else _STRONG)


def _confidence(detector: Detector, pattern: Pattern, captured: float, *, systemic: bool) -> float:
    """Prior precision × evidence grade × capture; an exact fact's statistical part is 1 (§2.4).

    Where payloads are missing the exposed traces are fewer than counted, so up to a tenth is taken
    off the claims that need payloads.
    """
    grade = min(_GRADE[hit.grade] for found in pattern.hits.values() for hit in found)
    capture = 0.9 + 0.1 * captured if detector.needs_payload else 1.0
    confidence = detector.prior * grade * capture
    return round(confidence if systemic else min(confidence, _ISOLATED_CONFIDENCE), 4)


def _attributable(pattern: Pattern, judgements: Sequence[Judgement]) -> tuple[float, float]:
    """Failures that would not have been; lower bound of the risk ratio.

    Attributable failures are the population attributable fraction at the lower bound of the risk
    ratio, P(pattern | failed) (1 - 1/RR), times the failed traces (Miettinen 1974).
    """
    outcomes = [judgements[place].failed for place in pattern.hits]
    failed, known = outcomes.count(True), len(outcomes) - outcomes.count(None)
    exposure = pattern.exposure
    others_failed = max(0, exposure.traces(True) - failed)
    others = max(0, exposure.traces(True, False) - known)
    ratio = risk_ratio_low(failed, known, others_failed, others)
    return failed * (1 - 1 / ratio) if ratio > 1 else 0.0, ratio


def _impact(pattern: Pattern, exposed: int, attributable: float) -> Impact:
    """What the extra work cost, and the failures that would not have been."""
    wastes = [hit.waste for found in pattern.hits.values() for hit in found]
    return Impact(
        traces_affected=len(pattern.hits),
        traces_exposed=exposed,
        failed_traces_attributable=round(attributable, 2),
        tokens_wasted=sum(waste.tokens for waste in wastes),
        cost_wasted=round(sum(waste.cost for waste in wastes), 6),
        seconds_wasted=round(sum(waste.ns for waste in wastes) / 1e9, 3),
    )


def _severity(
    detector: Detector,
    pattern: Pattern,
    exposed: int,
    judgements: Sequence[Judgement],
    *,
    harms: bool,
) -> tuple[Severity, Pattern]:
    """How bad a sure pattern is, and the part of it that makes it so; rates are lower bounds.

    fatal  half of the runs that could show it do, and fail of it
    error  runs fail of it; or a recorded failure lasts in 20 % of those that could show it
    warn   a fault that lasts in 20 % of these or in 2 % of the agent's runs, or is made good in 20 % of them and
           takes 5 % of each; one of the agent's own doing in 5 % of those that could show it; an inefficiency that is common or takes much of the run it is in; any other risk
    info   the rest
    """
    lasting = _lasting(pattern, judgements) if detector.fails else pattern
    runs = max(len(pattern.hits), pattern.agent_work.traces(True, False, None))
    rate, lasting_rate = (wilson(len(p.hits), exposed)[0] for p in (pattern, lasting))
    if harms:
        return (Severity.FATAL if rate >= _FATAL_RATE else Severity.ERROR), lasting
    if detector.fails and lasting_rate >= _ERROR_RATE and pattern.first.grade is Grade.EXPLICIT:
        return Severity.ERROR, lasting
    if detector.nature is Nature.FAULT:
        if lasting_rate >= _ERROR_RATE or wilson(len(lasting.hits), runs)[0] >= _LASTING_RATE_WARN:
            return Severity.WARN, lasting
        if detector.own_doing and rate >= _OWN_DOING_RATE_WARN:
            return Severity.WARN, pattern
        usual = wilson(len(pattern.hits), runs)[0] >= _MADE_GOOD_RATE_WARN
        dear = usual and _wasted(pattern, judgements) >= _MADE_GOOD_SHARE_WARN
        return (Severity.WARN if dear else Severity.INFO), pattern
    if detector.nature is Nature.INEFFICIENCY:
        costly = _wasted(pattern, judgements) >= _EFFICIENCY_SHARE_WARN
        worth = rate >= _EFFICIENCY_RATE_WARN or costly
        return (Severity.WARN if worth else Severity.INFO), pattern
    return Severity.WARN, pattern


def _lasting(pattern: Pattern, judgements: Sequence[Judgement]) -> Pattern:
    """The part of a pattern that was not made good: nothing worked after it, or the run failed all the same."""
    hits = {
        place: found
        for place, found in pattern.hits.items()
        if judgements[place].failed is True or not all(hit.recovered for hit in found)
    }
    return replace(pattern, hits=hits)


def harm(hit: Hit, judgement: Judgement, *, harmful: bool) -> tuple[float, float]:
    """What `hit` explains of its trace: the failure (0 or 1), and the share of its time,
    tokens or cost that was wasted (0..1).

    A trace that is merely affected counts a twentieth, so that harmless patterns still have an order.
    What telemetry lacks harms no trace: it stands below everything that does.
    """
    nature = BY_NAME[hit.detector].nature
    if nature is Nature.TELEMETRY:
        return 0.0, 0.0
    blamed = harmful or (nature is Nature.FAULT and not hit.recovered)
    share = _share(hit, judgement)
    return float(judgement.failed is True and blamed), 0.05 + 0.95 * share


def _share(hit: Hit, judgement: Judgement) -> float:
    """The share of its run's time, tokens or cost that a hit wasted, whichever is largest; 0..1."""
    duration = max(1, judgement.end_ns - judgement.start_ns)
    share = max(
        hit.waste.ns / duration,
        hit.waste.tokens / max(1, judgement.tokens),
        hit.waste.cost / judgement.cost if judgement.cost else 0.0,
    )
    return min(1.0, share)


def _wasted(pattern: Pattern, judgements: Sequence[Judgement]) -> float:
    """The mean share that the affected runs lost."""
    shares = [
        max(_share(hit, judgements[place]) for hit in hits) for place, hits in pattern.hits.items()
    ]
    return sum(shares) / len(shares)
