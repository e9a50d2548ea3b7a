"""Tests and intervals for comparing groups of traces, on the standard library alone.

The unit is the trace everywhere (detectors.md §0.2). Probabilities are computed in logarithms, so that
windows of any size stay finite.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from halo_otel.analysis.claims.statistics import Z95, wilson

_PAIRS_SIDE_MAX: Final = 500  # values per side of a Hodges–Lehmann estimate: 250 000 pairs, 0.1 s


class Estimate(NamedTuple):
    """An effect with its 95 % interval."""

    value: float
    low: float
    high: float


def fisher(hits: int, total: int, other_hits: int, other_total: int) -> float:
    """Chance of at least `hits` of `total` when all hits fell on both groups by luck (Fisher 1935)."""
    everything, all_hits = total + other_total, hits + other_hits
    whole = _log_choose(everything, total)
    tail = [
        _log_choose(all_hits, k) + _log_choose(everything - all_hits, total - k) - whole
        for k in range(hits, min(total, all_hits) + 1)
    ]
    return min(1.0, math.fsum(math.exp(one) for one in tail))


def fisher_both(hits: int, total: int, other_hits: int, other_total: int) -> float:
    """The same in either direction: twice the smaller tail."""
    more = fisher(hits, total, other_hits, other_total)
    fewer = fisher(other_hits, other_total, hits, total)
    return min(1.0, 2 * min(more, fewer))


def beta_binomial(k: int, n: int, mean: float, weight: float) -> float:
    """Log-probability of `k` of `n` where the rate itself varies around `mean`.

    The rate is Beta(`mean`·`weight`, (1-`mean`)·`weight`); with overdispersion rho the weight is 1/rho - 1.
    """
    a, b = mean * weight, (1 - mean) * weight
    return _log_choose(n, k) + _log_beta(k + a, n - k + b) - _log_beta(a, b)


def beta_binomial_tails(k: int, n: int, mean: float, weight: float) -> tuple[float, float]:
    """Chances of at least `k` and of at most `k`; the shorter tail is summed."""
    here = math.exp(beta_binomial(k, n, mean, weight))
    if k > n // 2:
        beyond = math.fsum(math.exp(beta_binomial(j, n, mean, weight)) for j in range(k + 1, n + 1))
        return min(1.0, beyond + here), max(0.0, min(1.0, 1 - beyond))
    below = math.fsum(math.exp(beta_binomial(j, n, mean, weight)) for j in range(k))
    return max(0.0, min(1.0, 1 - below)), min(1.0, below + here)


def adjusted_p(p_values: Sequence[float]) -> list[float]:
    """The smallest false discovery rate at which each is a discovery (Benjamini & Hochberg 1995)."""
    count = len(p_values)
    adjusted, smallest = [1.0] * count, 1.0
    order = sorted(range(count), key=lambda place: (p_values[place], place))
    for rank in range(count, 0, -1):
        place = order[rank - 1]
        smallest = min(smallest, p_values[place] * count / rank)
        adjusted[place] = smallest
    return adjusted


def risk_ratio(hits: int, total: int, other_hits: int, other_total: int) -> Estimate:
    """Rate in a group over the rate in another.

    Katz log interval with half a case added to every cell (Haldane–Anscombe), so that empty cells stay
    finite; nothing is known, 0 to infinity, when either was not seen.
    """
    if total <= 0 or other_total <= 0:
        return Estimate(1.0, 0.0, math.inf)
    a, n, b, m = hits + 0.5, total + 1.0, other_hits + 0.5, other_total + 1.0
    ratio = (a / n) / (b / m)
    spread = math.exp(Z95 * math.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m)))
    return Estimate(ratio, ratio / spread, ratio * spread)


def difference(hits: int, total: int, other_hits: int, other_total: int) -> Estimate:
    """Rate in a group minus the rate in another: the score interval, Newcombe 1998, method 10."""
    rate, other = hits / max(1, total), other_hits / max(1, other_total)
    low, high = wilson(hits, total)
    other_low, other_high = wilson(other_hits, other_total)
    return Estimate(
        rate - other,
        rate - other - math.hypot(rate - low, other_high - other),
        rate - other + math.hypot(high - rate, other - other_low),
    )


def mann_whitney(values: Sequence[float], others: Sequence[float]) -> float:
    """Two-sided p of both being alike: Mann & Whitney 1947, normal with ties and continuity."""
    n, m = len(values), len(others)
    if not n or not m:
        return 1.0
    ranked = sorted([(value, True) for value in values] + [(value, False) for value in others])
    rank_sum = ties = 0.0
    start = 0
    while start < n + m:
        end = start
        while end < n + m and ranked[end][0] == ranked[start][0]:
            end += 1
        rank_sum += (start + end + 1) / 2 * sum(own for _, own in ranked[start:end])
        ties += (end - start) ** 3 - (end - start)
        start = end
    u = rank_sum - n * (n + 1) / 2
    variance = n * m / 12 * ((n + m + 1) - ties / ((n + m) * max(1, n + m - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def ratio_of_levels(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """By which factor positive `values` stand above `others`: Hodges & Lehmann 1963 on logarithms.

    The median of all pairwise ratios, with the interval that belongs to the Mann–Whitney test; of many
    values, evenly spaced order statistics stand for all.
    """
    own, rest = _thinned(values), _thinned(others)
    n, m = len(own), len(rest)
    if not n or not m:
        return Estimate(1.0, 0.0, math.inf)
    ratios = sorted(math.log(a) - math.log(b) for a in own for b in rest)
    reach = Z95 * math.sqrt(n * m * (n + m + 1) / 12)
    middle = n * m / 2
    low, high = max(0, math.floor(middle - reach)), min(n * m - 1, math.ceil(middle + reach))
    median = (ratios[(n * m - 1) // 2] + ratios[n * m // 2]) / 2
    return Estimate(math.exp(median), math.exp(ratios[low]), math.exp(ratios[high]))


def _thinned(values: Sequence[float]) -> list[float]:
    ordered = sorted(max(value, 1e-9) for value in values)
    count = len(ordered)
    if count <= _PAIRS_SIDE_MAX:
        return ordered
    return [ordered[(2 * k + 1) * count // (2 * _PAIRS_SIDE_MAX)] for k in range(_PAIRS_SIDE_MAX)]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
