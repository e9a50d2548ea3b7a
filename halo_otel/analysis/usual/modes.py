"""Whether amounts of one kind are two populations: a second mode, apart from the first.

A long tail is healthy: log-normal traffic with sigma 1.2 has spans 60 times its median. So nothing is
called slow or dear by its z-score alone (detectors.md §1.7); the group must be two populations. The
logarithms are cut where two normal populations explain them best (maximum classification likelihood
over all cuts), and the upper side is a mode of its own when

- the likelihood ratio against one population is decisive: 2·ΔlogL > 20 (the greatest value in 1,320
  simulated log-normal groups of 30 to 3,000 spans, sigma 0.3 and 1.2, was 9.3);
- the modes stand apart: Ashman's D > 3 (Ashman, Bird & Zepf 1994 call D > 2 a clean separation;
  the cut halves of one normal population reach 2.7);
- there is a valley between them: a tail, however heavy, only falls. Pareto traffic passes the two
  tests above and fails this one from 500 spans on; of Pareto groups of 30 to 100 spans about one in
  five still looks like two;
- it is the minority, and its median is a robust z > 3.5 off the lower mode (Iglewicz & Hoaglin 1993).

Groups of fewer than 30 are not judged. The spread of a mode is at least 5 %, so a group that is always
the same is not split over jitter.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from halo_otel.analysis.usual.histogram import BUCKET_WIDTH, Histogram, middle

_COUNT_MIN: Final = 30
_UPPER_COUNT_MIN: Final = 3
_LIKELIHOOD_RATIO_MIN: Final = 20.0
_ASHMAN_D_MIN: Final = 3.0
_ROBUST_Z_MIN: Final = 3.5
_SPREAD_MIN: Final = 0.05


class Modes(NamedTuple):
    """Where the upper mode begins, and the medians of both, in the unit of the amounts."""

    above: float
    lower: float
    upper: float


class _Mode(NamedTuple):
    n: int
    mean: float
    spread: float
    cost: float  # -2 log likelihood, without the constants both models share


def modes(histogram: Histogram) -> Modes | None:
    """The two modes of a histogram of amounts (`histogram.BUCKET_WIDTH`), `None` for one population."""
    total = sum(histogram.values())
    if total < _COUNT_MIN:
        return None
    buckets = sorted(histogram)
    values = [(bucket + 0.5) * BUCKET_WIDTH for bucket in buckets]
    counts = [histogram[bucket] for bucket in buckets]
    cut = _best_cut(values, counts)
    if cut is None:
        return None
    place, lower, upper, ratio = cut
    apart = upper.mean - lower.mean
    separate = (
        ratio > _LIKELIHOOD_RATIO_MIN
        and apart / math.hypot(lower.spread, upper.spread) * math.sqrt(2) > _ASHMAN_D_MIN
        and apart > _ROBUST_Z_MIN * lower.spread
        and _valley(values, counts, lower.mean, upper)
    )
    if not separate:
        return None
    return Modes(
        above=math.exp((buckets[place - 1] + buckets[place] + 1) / 2 * BUCKET_WIDTH),
        lower=_median(buckets[:place], counts[:place]),
        upper=_median(buckets[place:], counts[place:]),
    )


def _best_cut(
    values: Sequence[float], counts: Sequence[int]
) -> tuple[int, _Mode, _Mode, float] | None:
    """The cut into two normal populations of greatest likelihood, the upper one the minority.

    Returns the first upper place, both modes and twice the log-likelihood ratio against no cut.
    """
    total = sum(counts)
    sums = sum(n * v for n, v in zip(counts, values, strict=True))
    squares = sum(n * v * v for n, v in zip(counts, values, strict=True))
    whole = _mode(total, total, sums, squares, 0.0)
    best: tuple[int, _Mode, _Mode, float] | None = None
    n = 0
    part_sum = part_square = 0.0
    for place, (value, count) in enumerate(zip(values, counts, strict=True), start=1):
        n, part_sum, part_square = (
            n + count,
            part_sum + count * value,
            part_square + count * value**2,
        )
        if total - n < _UPPER_COUNT_MIN:
            break
        if total - n >= n:
            continue
        lower = _mode(n, total, part_sum, part_square, 0.0)
        # A upper mode narrower than half the lower one would be rewarded for three like values.
        upper = _mode(total - n, total, sums - part_sum, squares - part_square, lower.spread / 2)
        ratio = whole.cost - lower.cost - upper.cost
        if best is None or ratio > best[3]:
            best = place, lower, upper, ratio
    return best


def _mode(n: int, total: int, sums: float, squares: float, spread_min: float) -> _Mode:
    mean = sums / n
    variance = max(0.0, squares / n - mean * mean)
    spread = max(math.sqrt(variance), _SPREAD_MIN, spread_min)
    cost = 2 * n * math.log(spread) + n * variance / spread**2 - 2 * n * math.log(n / total)
    return _Mode(n, mean, spread, cost)


def _valley(
    values: Sequence[float], counts: Sequence[int], lower_mean: float, upper: _Mode
) -> bool:
    """Whether fewer lie somewhere between the modes than around the upper one, per width."""
    half = upper.spread / 2

    def near(centre: float) -> int:
        pairs = zip(values, counts, strict=True)
        return sum(n for value, n in pairs if centre - half <= value < centre + half)

    peak = max(near(upper.mean + shift * half) for shift in (-1, 0, 1))
    apart = upper.mean - lower_mean
    return min(near(lower_mean + share * apart) for share in (0.4, 0.5, 0.6, 0.7)) < peak


def _median(buckets: Sequence[int], counts: Sequence[int]) -> float:
    before = accumulate(counts)
    return middle(next(b for b, n in zip(buckets, before, strict=True) if 2 * n >= sum(counts)))
