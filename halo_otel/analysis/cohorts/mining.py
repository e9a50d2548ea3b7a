"""Which combinations of attributes hold more bad cases than luck explains.

All patterns of one or two attributes with enough support are compared with the rest of the cases, within
strata (MacroBase 1603.00567, DIFF 2019). What passes the effect's floor is tested against the largest
score of *any* pattern when the outcomes are shuffled within the strata (Westfall & Young 1993, min-p):
correlated patterns and their number are accounted for exactly, whatever they are (detectors.md §1.2).

A set of cases is one integer, a bit per case: an intersection is `&`, its size `bit_count`, so that 199
shuffles of 33 k cases under 1 500 patterns are counted in half a second without any library.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Final, TypeAlias

from halo_otel.analysis.causality.inference import Estimate, fisher, risk_ratio

Condition: TypeAlias = tuple[str, str]  # attribute, value

# detectors.md §1.2: support >= max(20 traces, 1 % of failures), RR >= 1.5 with its lower bound > 1.2.
SUPPORT_MIN: Final = 20
SUPPORT_SHARE_OF_BAD: Final = 0.01
# Of a few runs no more is told than leaps to the eye: most of them are bad, and surely twice as often as others.
_SUPPORT_FEW: Final = 8
_FEW_OF: Final = 20  # … where twenty runs would be more than a twentieth of all
_FEW_RATIO_MIN: Final = 3.0
_FEW_RATIO_LOW_MIN: Final = 2.0
RATIO_MIN: Final = 1.5
RATIO_LOW_MIN: Final = 1.2
EXCESS_MIN: Final = 3.0  # bad cases more than expected: as for a change (§1.7)
PERMUTATIONS: Final = 199
# One of 199 shuffles may reach the score. §1.2 measured 3-4 % of clean windows at a level of 5 %; all
# findings together may disturb 2 % of them.
LEVEL: Final = 0.01
_INSIDE_PARENT: Final = (
    0.01  # §1.2: a pair is kept only if Fisher's test inside both its parts says so
)
_SCORE_MIN: Final = 2.5  # one-sided 0.6 %: below, no shuffle is worth the time
_VALUES_MAX: Final = 60  # commonest values of an attribute that are looked at
_PATTERNS_MAX: Final = 1_500  # those with most cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trace: how it ended, among whom it is compared, and what was given before it began."""

    bad: bool
    stratum: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Cases that share `conditions` and are bad more often. `alike` holds of exactly the same cases."""

    conditions: tuple[Condition, ...]
    alike: tuple[Condition, ...]
    places: tuple[int, ...]
    bad_places: tuple[int, ...]
    rest_bad: int
    rest: int
    ratio: Estimate
    p_adjusted: float

    @property
    def bad(self) -> int:
        """How many of its cases are bad."""
        return len(self.bad_places)

    @property
    def excess(self) -> float:
        """Bad cases that would not be at the rest's rate, at the ratio's lower bound."""
        return self.bad * (1 - 1 / self.ratio.low)


@dataclass(slots=True, kw_only=True)
class _Pattern:
    conditions: tuple[Condition, ...]
    mask: int
    support: int
    expected: float = 0.0
    bad: int = 0
    score: float = 0.0


class _Table:
    """The cases as bit sets."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.size = len(cases)
        self.bad = bits((place for place, case in enumerate(cases) if case.bad), self.size)
        strata: dict[str, list[int]] = defaultdict(list)
        for place, case in enumerate(cases):
            strata[case.stratum].append(place)
        self.strata = [strata[name] for name in sorted(strata)]
        self.stratum_masks = [bits(places, self.size) for places in self.strata]
        self.stratum_bad = [(mask & self.bad).bit_count() for mask in self.stratum_masks]

    def expected(self, mask: int) -> float:
        """Bad cases in `mask` if each stratum's were spread evenly."""
        return math.fsum(
            (mask & stratum).bit_count() * bad / len(places)
            for stratum, places, bad in zip(
                self.stratum_masks, self.strata, self.stratum_bad, strict=True
            )
        )

    def shuffled(self, random: Random) -> int:
        """The bad cases after a shuffle within the strata."""
        return bits(
            (
                place
                for places, bad in zip(self.strata, self.stratum_bad, strict=True)
                for place in random.sample(places, bad)
            ),
            self.size,
        )


def mine(cases: Sequence[Case], order: Sequence[str], seed: str) -> list[Cohort]:
    """The cohorts in `cases`, the one with most evidence first.

    `order` names the attributes to look at; of those that hold of the same cases the first one names
    the cohort. The shuffles depend on `seed` alone.
    """
    table = _Table(cases)
    bad = table.bad.bit_count()
    floor = max(SUPPORT_MIN, math.ceil(SUPPORT_SHARE_OF_BAD * bad))
    if bad < EXCESS_MIN or table.size < 2 * floor:
        return []
    floor = max(_SUPPORT_FEW, min(floor, table.size // _FEW_OF))
    singles, alike = _singles(table, order, floor)
    patterns = [*singles, *_pairs(singles, table, floor)]
    patterns.sort(key=lambda pattern: -pattern.support)
    del patterns[_PATTERNS_MAX:]
    for pattern in patterns:
        pattern.expected = table.expected(pattern.mask)
        pattern.bad = (pattern.mask & table.bad).bit_count()
        pattern.score = _score(pattern.bad, pattern)
    named = {pattern.conditions: pattern for pattern in singles}
    stands = [pattern for pattern in patterns if _stands_out(pattern, table, named)]
    p_values = _shuffle(stands, patterns, table, seed)
    found = sorted(
        (pattern for pattern in stands if p_values[pattern.conditions] <= LEVEL),
        key=lambda pattern: (-pattern.score, pattern.conditions),
    )
    return [
        _cohort(pattern, table, alike, p_values[pattern.conditions])
        for pattern in _distinct(found, table)
    ]


def bits(places: Iterable[int], size: int) -> int:
    """A set of places below `size` as one integer."""
    data = bytearray(size // 8 + 1)
    for place in places:
        data[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(data, "little")


def _singles(
    table: _Table, order: Sequence[str], floor: int
) -> tuple[list[_Pattern], dict[int, list[Condition]]]:
    """One pattern per distinct set of cases, and all conditions that hold of exactly that set."""
    alike: dict[int, list[Condition]] = defaultdict(list)
    for attribute in order:
        values = Counter(
            value for case in table.cases if (value := case.attributes.get(attribute)) is not None
        )
        common = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_VALUES_MAX]
        places: dict[str, list[int]] = {
            value: [] for value, n in common if floor <= n <= table.size - floor
        }
        for place, case in enumerate(table.cases):
            if (value := case.attributes.get(attribute)) in places:
                places[value].append(place)
        for value, members in sorted(places.items()):
            alike[bits(members, table.size)].append((attribute, value))
    singles = [
        _Pattern(conditions=(conditions[0],), mask=mask, support=mask.bit_count())
        for mask, conditions in alike.items()
    ]
    return singles, alike


def _pairs(singles: Sequence[_Pattern], table: _Table, floor: int) -> list[_Pattern]:
    pairs: list[_Pattern] = []
    for one, two in combinations(singles, 2):
        if one.conditions[0][0] == two.conditions[0][0]:
            continue
        mask = one.mask & two.mask
        support = mask.bit_count()
        if floor <= support < min(one.support, two.support):
            conditions = (*one.conditions, *two.conditions)
            pairs.append(_Pattern(conditions=conditions, mask=mask, support=support))
    return pairs


def _score(bad: int, pattern: _Pattern) -> float:
    """Signed root of the likelihood ratio of `bad` against the expected: nearly normal, rare cells too."""
    expected, support = pattern.expected, pattern.support
    if bad <= expected or expected <= 0:
        return 0.0
    good = support - bad
    twice = bad * math.log(bad / expected)
    if good:
        twice += good * math.log(good / (support - expected))
    return math.sqrt(max(0.0, 2 * twice))


def _stands_out(
    pattern: _Pattern, table: _Table, named: Mapping[tuple[Condition, ...], _Pattern]
) -> bool:
    """Whether it is large enough to matter, before it is asked whether it is luck."""
    if pattern.score < _SCORE_MIN or pattern.bad - pattern.expected < EXCESS_MIN:
        return False
    ratio = _ratio(pattern.mask, ~0, table)
    if ratio.value < RATIO_MIN or ratio.low <= RATIO_LOW_MIN:
        return False
    if pattern.support < SUPPORT_MIN and not (
        2 * pattern.bad >= pattern.support
        and ratio.value >= _FEW_RATIO_MIN
        and ratio.low > _FEW_RATIO_LOW_MIN
    ):
        return False
    if len(pattern.conditions) == 1:
        return True
    return all(_adds(pattern, named[condition,], table) for condition in pattern.conditions)


def _adds(pair: _Pattern, parent: _Pattern, table: _Table) -> bool:
    """Whether the pair is worse than the rest of its part."""
    rest = parent.mask & ~pair.mask
    rest_bad = (rest & table.bad).bit_count()
    return fisher(pair.bad, pair.support, rest_bad, rest.bit_count()) < _INSIDE_PARENT


def _ratio(mask: int, among: int, table: _Table) -> Estimate:
    """Rate in `mask` over the rate outside of it, both within `among`; strata weigh as in `mask`.

    The rest's expected cases are standardised to the cohort's mix of strata, so that an agent that
    always fails more does not pass for the cohort it is common in.
    """
    inside = mask & among
    hits, total = (inside & table.bad).bit_count(), inside.bit_count()
    others = others_bad = 0
    standard = 0.0
    for stratum in table.stratum_masks:
        own = (inside & stratum).bit_count()
        rest = stratum & among & ~mask
        rest_total, rest_bad = rest.bit_count(), (rest & table.bad).bit_count()
        if own and rest_total:
            others, others_bad = others + rest_total, others_bad + rest_bad
            standard += own * rest_bad / rest_total
        elif own:  # no comparison: the stratum says nothing
            hits -= (inside & stratum & table.bad).bit_count()
            total -= own
    crude = risk_ratio(hits, total, others_bad, others)
    if not total or not others or not standard or not others_bad:
        return crude
    shift = (hits / standard) / ((hits / total) / (others_bad / others)) if hits else 1.0
    return Estimate(crude.value * shift, crude.low * shift, crude.high * shift)


def _shuffle(
    candidates: Sequence[_Pattern], patterns: Sequence[_Pattern], table: _Table, seed: str
) -> dict[tuple[Condition, ...], float]:
    """Adjusted p of each candidate.

    Where even Bonferroni's bound, which shuffles can only improve on, is far below the level, it stands: a
    score of s has at most exp(-s²/2) of the shuffles, however few cases there are (Hoeffding 1963).
    The others are shuffled until all of them were reached too often.
    """
    bounds = {
        pattern.conditions: len(patterns) * math.exp(-(pattern.score**2) / 2)
        for pattern in candidates
    }
    sure = {name: bound for name, bound in bounds.items() if bound <= LEVEL / 10}
    candidates = [pattern for pattern in candidates if pattern.conditions not in sure]
    allowed = math.floor(LEVEL * (PERMUTATIONS + 1)) - 1
    reached = {pattern.conditions: 0 for pattern in candidates}
    random = Random(seed)
    known: list[dict[int, float]] = [{} for _ in patterns]
    for _ in range(PERMUTATIONS):
        alive = [pattern for pattern in candidates if reached[pattern.conditions] <= allowed]
        if not alive:
            break
        bad, highest = table.shuffled(random), 0.0
        for pattern, scores in zip(patterns, known, strict=True):
            count = (pattern.mask & bad).bit_count()
            score = scores.get(count)
            if score is None:
                score = scores[count] = _score(count, pattern)
            if score > highest:
                highest = score
        for pattern in alive:
            reached[pattern.conditions] += highest >= pattern.score
    return sure | {name: (1 + count) / (PERMUTATIONS + 1) for name, count in reached.items()}


def _distinct(found: Sequence[_Pattern], table: _Table) -> list[_Pattern]:
    """Without those that the ones before them explain: what is left of them must still stand out."""
    kept: list[_Pattern] = []
    explained = 0
    for pattern in found:
        left = pattern.mask & ~explained
        ratio = _ratio(pattern.mask, ~explained & ((1 << table.size) - 1), table)
        bad = (left & table.bad).bit_count()
        if kept and (bad < EXCESS_MIN or ratio.low <= RATIO_LOW_MIN or ratio.value < RATIO_MIN):
            continue
        kept.append(pattern)
        explained |= pattern.mask
    return kept


def _cohort(
    pattern: _Pattern, table: _Table, alike: Mapping[int, Sequence[Condition]], p_adjusted: float
) -> Cohort:
    same = alike[pattern.mask][1:] if len(pattern.conditions) == 1 else ()
    return Cohort(
        conditions=pattern.conditions,
        alike=tuple(same),
        places=tuple(place for place in range(table.size) if pattern.mask >> place & 1),
        bad_places=tuple(
            place for place in range(table.size) if (pattern.mask & table.bad) >> place & 1
        ),
        rest_bad=table.bad.bit_count() - pattern.bad,
        rest=table.size - pattern.support,
        ratio=_ratio(pattern.mask, ~0, table),
        p_adjusted=p_adjusted,
    )
