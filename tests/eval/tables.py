"""The figures of an evaluation as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from tests.eval.scenario import FAULTS
from tests.eval.score import Judged, brier, calibration, ece, wilson

if TYPE_CHECKING:
    from tests.eval.run import Outcome

_CAUSES: Final = 3  # places in which a cause must stand to count
_CATEGORY: Final = {one.name: one.category for one in FAULTS}


def show(outcomes: Sequence[Outcome], *, verbose: bool) -> None:
    """Everything about one generator."""
    faulty = [one for one in outcomes if one.task.fault]
    clean = [one for one in outcomes if not one.task.fault]
    _faults(faulty)
    _summary(faulty)
    _dialects(faulty)
    _clean(clean)
    alarms = [one for each in outcomes for one in each.judged if one.alarming]
    _calibration(alarms)
    _detectors(alarms)
    slowest = max(outcomes, key=lambda one: one.seconds)
    spans = sum(one.spans for one in outcomes)
    seconds = sum(one.seconds for one in outcomes)
    print(
        f"\n{len(outcomes)} windows, {spans:,} spans, {seconds / len(outcomes):.2f} s a window, "
        f"slowest {slowest.seconds:.1f} s ({slowest.spans:,} spans)"
    )
    if verbose:
        _details(outcomes)


def found(one: Outcome, *, alarming: bool = True) -> bool:
    """Whether the window's fault is among its findings."""
    return any(j.worth == "hit" and (j.alarming or not alarming) for j in one.judged)


def _faults(outcomes: Sequence[Outcome]) -> None:
    print(
        f"\n{'fault':<22}{'windows':>8}{'recall':>8}{'or info':>9}{'precision':>11}{'F1':>6}"
        f"{'cause@1':>9}{'cause@3':>9}{'naive':>8}"
    )
    for fault in FAULTS:
        mine = [one for one in outcomes if one.task.fault == fault.name]
        if mine:
            _row(fault.name, mine, _claims(outcomes, fault.category))


def _claims(outcomes: Sequence[Outcome], category: str) -> list[Judged]:
    """All alarms of a category in all faulty windows."""
    return [j for one in outcomes for j in one.judged if j.alarming and j.category == category]


def _row(name: str, mine: Sequence[Outcome], claims: Sequence[Judged]) -> None:
    recall = _share(mine, found)
    precision = _precision(claims)
    causes = _best_causes(mine)
    print(
        f"{name:<22}{len(mine):>8}{recall:>8.2f}"
        f"{_share(mine, lambda one: found(one, alarming=False)):>9.2f}"
        f"{_number(precision):>11}{_number(_f1(precision, recall)):>6}"
        f"{_number(_within(causes, 1)):>9}{_number(_within(causes, _CAUSES)):>9}"
        f"{_share(mine, lambda one: one.naive_hit):>8.2f}"
    )


def _summary(outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    alarms = [j for one in outcomes for j in one.judged if j.alarming]
    worths = Counter(one.worth for one in alarms)
    precision, recall = _precision(alarms), _share(outcomes, found)
    naive = _share(outcomes, lambda one: one.naive_hit)
    naive_false = sum(one.naive_false for one in outcomes)
    hits = sum(one.naive_hit for one in outcomes)
    causes = _best_causes(outcomes)
    low, high = wilson(sum(map(found, outcomes)), len(outcomes))
    print(
        f"\nall faults: precision {_number(precision)} ({worths['hit']} hits, {worths['false']} false, "
        f"{worths['echo']} echoes), recall {recall:.3f} [{low:.3f}, {high:.3f}], "
        f"F1 {_number(_f1(precision, recall))}, cause@1 {_number(_within(causes, 1))}, "
        f"cause@3 {_number(_within(causes, _CAUSES))}"
        f"\nnaive rules: precision {hits / max(1, hits + naive_false):.3f}, recall {naive:.3f}"
    )


def _dialects(outcomes: Sequence[Outcome]) -> None:
    kinds: tuple[tuple[str, Callable[[Outcome], str]], ...] = (
        ("dialect", lambda one: one.dialect),
        ("application", lambda one: one.application),
    )
    for kind, of in kinds:
        told = []
        for name in sorted({of(one) for one in outcomes}):
            mine = [one for one in outcomes if of(one) == name]
            told.append(f"{name} {_share(mine, found):.2f} of {len(mine)}")
        print(f"recall by {kind}: {', '.join(told)}")


def _clean(outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    loud = [one for one in outcomes if any(j.alarming for j in one.judged)]
    low, high = wilson(len(loud), len(outcomes))
    alarms = Counter(j.category for one in outcomes for j in one.judged if j.alarming)
    naive = sum(bool(one.naive_false) for one in outcomes)
    print(
        f"\nclean windows with a finding >= warn: {len(loud)} of {len(outcomes)}, "
        f"{len(loud) / len(outcomes):.1%} [{low:.1%}, {high:.1%}] {dict(alarms.most_common())}"
        f"\nwith a naive rule broken: {naive / len(outcomes):.1%}"
    )


def _calibration(judged: Sequence[Judged]) -> None:
    """What is only information is left out: nobody plants it, so nobody knows whether it is true."""
    print(f"\ncalibration of confidence: Brier {brier(judged):.3f}, ECE {ece(judged):.3f}")
    for said, true, count in calibration(judged):
        print(f"  said {said:.2f}  true {true:.2f}  of {count}")


def _detectors(judged: Sequence[Judged]) -> None:
    """Per detector the precision its `prior` should be near to, with one hit and one miss for what is unknown."""
    print("\nprecision by detector (hits, false, echoes; said, smoothed)")
    for name in sorted({one.detector for one in judged}):
        mine = [one for one in judged if one.detector == name]
        worths = Counter(one.worth for one in mine)
        told = worths["hit"] + worths["false"]
        print(
            f"  {name:<24}{worths['hit']:>5}{worths['false']:>5}{worths['echo']:>5}"
            f"{sum(one.confidence for one in mine) / len(mine):>8.2f}{(worths['hit'] + 1) / (told + 2):>6.2f}"
        )


def _details(outcomes: Sequence[Outcome]) -> None:
    for one in outcomes:
        missed = bool(one.task.fault) and not found(one)
        told = [j for j in one.judged if missed or (j.worth == "false" and j.alarming)]
        if missed or told:
            what = f"MISSED {one.task.fault}" if missed else f"false in {one.task.fault or 'clean'}"
            print(f"\n{what}: seed {one.task.seed}, {one.dialect}, look-alikes {one.lures}")
        for j in told:
            print(f"  {j.worth:<6}{j.severity:<6}{j.confidence:.2f} {j.category}: {j.title}")


def show_corpora() -> None:
    """Of the successful runs of labelled real agents, those that a finding >= warn names as failed, or lists."""
    from tests.analysis.eval_corpus import SETS, counted, verdict
    from tests.analysis.eval_windows import alarms

    print()
    total: Counter[str] = Counter()
    for name in SETS:
        judged = verdict(name)
        counts = judged.counts
        total += counts
        print(
            f"corpus {name:<20}{len(alarms(judged.report)):>3} findings >= warn, {counted(counts)}"
        )
    print(f"corpora: {counted(total)}")


def _best_causes(outcomes: Sequence[Outcome]) -> list[int]:
    """Per fault that was found and has spans to blame, the best rank among its hits, or 0."""
    best = []
    for one in outcomes:
        ranks = [j.rank for j in one.judged if j.worth == "hit" and j.located]
        if ranks:
            best.append(min((rank for rank in ranks if rank), default=0))
    return best


def _within(ranks: Sequence[int], places: int) -> float | None:
    return sum(0 < rank <= places for rank in ranks) / len(ranks) if ranks else None


def _share(outcomes: Sequence[Outcome], test: Callable[[Outcome], bool]) -> float:
    return sum(map(test, outcomes)) / max(1, len(outcomes))


def _precision(judged: Sequence[Judged]) -> float | None:
    worths = Counter(one.worth for one in judged)
    claims = worths["hit"] + worths["false"]
    return worths["hit"] / claims if claims else None


def _f1(precision: float | None, recall: float) -> float | None:
    if precision is None or precision + recall == 0:
        return None
    return 2 * precision * recall / (precision + recall)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
