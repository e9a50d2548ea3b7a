"""Whether a run failed, without anybody's label: votes of many weak witnesses (detectors.md §1.9).

A vote is the name of a label function that speaks about a trace (`frame.votes`); a silent one counts for
nothing. Hard evidence, what the run itself recorded as its error and what was evaluated, wins. Else
the weights of the votes add up as log-odds of failure. Once there are `LEARN_TRACES_MIN` traces the weights
are re-estimated from how the votes agree, a two-parameter Dawid–Skene model (Dawid & Skene 1979) by
expectation maximisation, held near the fixed weights.

The fixed weights are judgement, not a fit: weak witnesses are kept below what decides alone, and that an
answer ended by itself weighs little because in terminal-bench and tau-bench most such runs had failed.
`tests/analysis/eval_outcome.py` prints how they do; those runs were looked at when the weights were set, so
that is no measure of how they do elsewhere.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

from halo_otel.analysis.judgement import Asked, Judgement
from halo_otel.clock import NS_PER_S

Votes = tuple[str, ...]

KNOWN_MARGIN: Final = 0.2  # detectors.md §1.9: downstream drops |P - 0.5| < 0.2
LEARN_TRACES_MIN: Final = 200
_RECORDED_MIN: Final = 5  # failed runs of a task from which on another's silence tells
_ROUNDS: Final = 5
_PSEUDO_TRACES: Final = 40.0  # how many traces the fixed weights stand for
_DRIFT_MAX: Final = 1.0  # how far agreement may move a weight
_REPHRASED_JACCARD: Final = 0.6
_REPHRASED_WITHIN_NS: Final = 600 * NS_PER_S


class Label(NamedTuple):
    """One label function: how much it speaks for failure (+) or success (-), and what it is to people."""

    weight: float
    says: str
    hard: bool = False


# 0.8 and less is a weak witness: alone it leaves P below 0.7, so no run is called failed for it.
LABELS: Final[Mapping[str, Label]] = {
    "evaluated_bad": Label(6.0, "an evaluation", hard=True),
    "evaluated_good": Label(-6.0, "an evaluation", hard=True),
    "root_error": Label(5.0, "the run's own error status", hard=True),
    "step_limit": Label(2.5, "a stop at a limit"),
    "final_error": Label(3.0, "an error as the last step"),
    "final_error_told": Label(0.8, "a last result that tells of an error"),
    "cut_off": Label(0.8, "an answer that was cut off"),
    "empty_answer": Label(0.8, "an empty answer"),
    "unable": Label(0.8, "an answer that says it could not be done"),
    "complaint": Label(0.8, "the user's complaint"),
    "follow_up": Label(0.8, "the user asking again"),
    "unrecovered": Label(0.6, "a failed call that nothing made good"),
    "root_ok": Label(-2.0, "the run's own OK status"),
    "finished": Label(-0.3, "an answer that ended by itself"),
    "answered": Label(-0.5, "an answer"),
    "tests_pass": Label(-1.2, "tests that pass"),
    "thanks": Label(-0.5, "the user's thanks"),
    "unremarkable": Label(-1.0, "no sign of failure where others record theirs"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is believed of a run; `p_failed` is None where nothing speaks, `failed` where too little does."""

    failed: bool | None
    p_failed: float | None
    basis: tuple[str, ...]  # names of the votes that point the way it was decided


def of(votes: Votes, weights: Mapping[str, float] | None = None) -> Outcome:
    """The outcome `votes` speak for; `weights` replace the fixed ones."""
    if not votes:
        return Outcome(failed=None, p_failed=None, basis=())
    weighed = {vote: (weights or {}).get(vote, LABELS[vote].weight) for vote in votes}
    hard = {vote: weight for vote, weight in weighed.items() if LABELS[vote].hard}
    p = 1 / (1 + math.exp(-sum((hard or weighed).values())))
    failed = None if abs(p - 0.5) < KNOWN_MARGIN else p > 0.5
    sign = 1 if p > 0.5 else -1
    speaking = sorted((hard or weighed).items(), key=lambda item: (-sign * item[1], item[0]))
    basis = tuple(vote for vote, weight in speaking if weight * sign > 0)
    return Outcome(failed=failed, p_failed=round(p, 4), basis=basis)


def seems_failed(failed: bool | None, votes: Votes) -> bool | None:
    """`failed`, and where that is not known, whether any vote speaks for failure; None without a vote.

    For comparing groups of runs by an exact test only: there a wrong guess blurs the difference and makes
    none, while leaving out every run in doubt leaves out most of those that failed.
    """
    if failed is not None or not votes:
        return failed
    return any(LABELS[vote].weight > 0 for vote in votes)


def in_company(votes: Votes, failures: int) -> Votes:
    """`votes` of a run among others of its task, so many of which failed by their own votes.

    Where failures are recorded, a run that only looks good is a good one; where they never are, its silence
    says nothing (in tau-bench two of three runs that end with a friendly answer have failed).
    """
    looks_good = votes and all(LABELS[vote].weight < 0 for vote in votes)
    return (*votes, "unremarkable") if looks_good and failures >= _RECORDED_MIN else votes


def settle(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The judgements with the outcomes that all of them together make likely, in the same order."""
    votes = _with_company(judgements)
    weights = learn(Counter(votes)) if len(votes) >= LEARN_TRACES_MIN else {}
    outcomes = {cast: of(cast, weights) for cast in set(votes)}
    return [
        _decided(judgement, outcomes[cast])
        for judgement, cast in zip(judgements, votes, strict=True)
    ]


def _decided(judgement: Judgement, outcome: Outcome) -> Judgement:
    if (judgement.failed, judgement.p_failed, judgement.basis) == (
        outcome.failed,
        outcome.p_failed,
        outcome.basis,
    ):
        return judgement
    return replace(judgement, failed=outcome.failed, p_failed=outcome.p_failed, basis=outcome.basis)


def learn(cast: Mapping[Votes, int]) -> dict[str, float]:
    """The weight of each vote that is not hard, from how many traces cast which votes together.

    A vote's two parameters are how often failed and how often good traces cast it.
    """
    weights: dict[str, float] = {}
    soft = sorted(name for name, label in LABELS.items() if not label.hard)
    for _ in range(_ROUNDS):
        failed = good = 0.0
        said: dict[str, tuple[float, float]] = dict.fromkeys(soft, (0.0, 0.0))
        for votes, n in sorted(cast.items()):
            p = of(votes, weights).p_failed
            if p is None:
                continue
            failed, good = failed + n * p, good + n * (1 - p)
            for vote in votes:
                if vote in said:
                    said[vote] = (said[vote][0] + n * p, said[vote][1] + n * (1 - p))
        weights = {name: _weight(LABELS[name].weight, *said[name], failed, good) for name in soft}
    return weights


def _weight(prior: float, in_failed: float, in_good: float, failed: float, good: float) -> float:
    """Log ratio of the two rates, where the prior counts as `_PSEUDO_TRACES` traces of each kind."""
    rate_failed, rate_good = 0.1 * math.exp(max(0.0, prior)), 0.1 * math.exp(max(0.0, -prior))
    scale = min(1.0, 0.9 / max(rate_failed, rate_good))
    m = _PSEUDO_TRACES
    ratio = math.log(
        ((in_failed + m * rate_failed * scale) / (failed + m))
        / ((in_good + m * rate_good * scale) / (good + m))
    )
    drift = min(_DRIFT_MAX, abs(prior) / 2)  # a witness never changes sides
    return min(prior + drift, max(prior - drift, ratio))


def _with_company(judgements: Sequence[Judgement]) -> list[Votes]:
    """Each trace's votes, and those of its task's other runs and of the user's next words."""
    sessions: dict[tuple[str, str], list[int]] = defaultdict(list)
    failed = {votes: of(votes).failed for votes in {j.votes for j in judgements}}
    recorded = Counter((j.service, j.agent) for j in judgements if failed[j.votes])
    votes = [in_company(j.votes, recorded[j.service, j.agent]) for j in judgements]
    for place, judgement in enumerate(judgements):
        if judgement.session is not None and judgement.asked is not None:
            sessions[judgement.service, judgement.session].append(place)
    for places in sessions.values():
        places.sort(key=lambda place: (judgements[place].start_ns, judgements[place].trace_id))
        for before, after in pairwise(places):
            vote = _follow_up(judgements[before], judgements[after])
            if vote is not None and vote not in votes[before]:
                votes[before] = (*votes[before], vote)
    return votes


def _follow_up(before: Judgement, after: Judgement) -> str | None:
    if before.asked is None or after.asked is None:
        return None
    if not 0 <= after.start_ns - before.end_ns <= _REPHRASED_WITHIN_NS:
        return None
    if after.asked.complains:
        return "complaint"
    if _is_rephrased(before.asked, after.asked):
        return "follow_up"
    return "thanks" if after.asked.thanks else None


def _is_rephrased(before: Asked, after: Asked) -> bool:
    """Whether the same thing is asked in other words; the very same words are a schedule's or a test's."""
    one, other = before.text.casefold(), after.text.casefold()
    short, long = sorted((len(one), len(other)))
    if one == other or short < 12 or short < _REPHRASED_JACCARD * long:
        return False
    a, b = _grams(one), _grams(other)
    digits = [char for char in one if char.isdigit()] == [char for char in other if char.isdigit()]
    return digits and len(a & b) >= _REPHRASED_JACCARD * len(a | b)


def _grams(text: str) -> frozenset[str]:
    return frozenset(text[place : place + 3] for place in range(len(text) - 2))


def sentence(judgements: Iterable[Judgement]) -> str:
    """How the runs ended and how that is known, as a sentence after others."""
    outcomes: Counter[bool | None] = Counter()
    basis: Counter[str] = Counter()
    for judgement in judgements:
        outcomes[judgement.failed] += 1
        if judgement.failed is not None and judgement.basis:
            basis[LABELS[judgement.basis[0]].says] += 1
    if not outcomes[True] and not outcomes[False]:
        return " How these runs ended is not known."
    told = ", ".join(
        f"{says} {n}" for says, n in sorted(basis.items(), key=lambda i: (-i[1], i[0]))
    )
    unknown = f", {outcomes[None]} unknown" if outcomes[None] else ""
    return (
        f" Of these runs {outcomes[True]} failed and {outcomes[False]} succeeded{unknown}"
        f" (told by {told})."
    )
