"""What became of findings, given in how many traces they were seen before and after."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from halo_otel.analysis.causality.inference import adjusted_p, fisher_both, risk_ratio
from halo_otel.model.comparison import Change, FindingChange, Sight
from halo_otel.model.finding import Effect, Finding

# detectors.md §1.7: BH q = .01 for a single look, with floors for what is worth a word.
LEVEL: Final = 0.01
RATIO_MIN: Final = 1.5
EXCESS_MIN: Final = 3.0
FIXED_EXPECTED: Final = 3.0  # rule of three: none seen where three were due is luck in 5 % at most
# A report is silent about what is seen in fewer than three traces. Of a rate that is due 6.3 times, at most
# two are seen in 5 % of cases (Poisson).
HIDDEN_IN_REPORTS: Final = 2
_FIXED_EXPECTED_IN_REPORTS: Final = 6.3
_NEW_LEVEL: Final = 0.05  # a new finding has passed the systemic gate already
_ORDER: Final = (Change.NEW, Change.WORSE, Change.FIXED, Change.BETTER, Change.UNSEEN, Change.SAME)


class Pair(NamedTuple):
    """A finding of either side, or of both, and its sights."""

    earlier: Finding | None
    later: Finding | None
    before: Sight
    after: Sight


def changes(pairs: Sequence[Pair], *, reported: bool = False) -> list[FindingChange]:
    """What became of each, the most important first.

    `reported`: the sights are those of reports, where what was not seen may have been below the gate.
    """
    hidden = HIDDEN_IN_REPORTS if reported else 0
    p_values = adjusted_p(
        [
            fisher_both(
                max(pair.after.affected, min(hidden, pair.after.exposed)),
                pair.after.exposed,
                max(pair.before.affected, min(hidden, pair.before.exposed)),
                pair.before.exposed,
            )
            for pair in pairs
        ]
    )
    due = _FIXED_EXPECTED_IN_REPORTS if reported else FIXED_EXPECTED
    return sorted(
        (_change(pair, p, due) for pair, p in zip(pairs, p_values, strict=True)),
        key=lambda one: (
            _ORDER.index(one.change),
            -one.finding.severity.number,
            -one.finding.priority,
            one.finding.fingerprint,
        ),
    )


def _change(pair: Pair, p: float, due: float) -> FindingChange:
    finding = pair.later or pair.earlier
    assert finding is not None
    before, after = pair.before, pair.after
    ratio = risk_ratio(after.affected, after.exposed, before.affected, before.exposed)
    change, sure = _verdict(pair, p, due)
    return FindingChange(
        change=change,
        finding=finding,
        before=before,
        after=after,
        effect=Effect(
            measure="risk ratio, after over before",
            value=ratio.value,
            ci=(ratio.low, ratio.high),
            p_adjusted=p,
        ),
        sure=sure,
    )


def _verdict(pair: Pair, p: float, fixed_due: float) -> tuple[Change, bool]:
    before, after = pair.before, pair.after
    if not before.affected and pair.later is not None:
        return Change.NEW, p <= _NEW_LEVEL
    if not after.affected:
        due = before.rate * after.exposed >= fixed_due
        return (Change.FIXED if due else Change.UNSEEN), due
    if p > LEVEL or not before.affected or not after.exposed or not before.exposed:
        return Change.SAME, True
    ratio = after.rate / before.rate
    excess = after.affected - before.rate * after.exposed
    if ratio >= RATIO_MIN and excess >= EXCESS_MIN:
        return Change.WORSE, True
    if ratio <= 1 / RATIO_MIN and -excess >= EXCESS_MIN:
        return Change.BETTER, True
    return Change.SAME, True
