"""Counts of a window against those of the windows before it, so that many looks do not raise false alarms.

Per cell, the number of affected traces is beta-binomial: the rate itself varies from window to window, by
what the cell's own past shows, at least by the median over all cells. Three ways to an alarm, which
together disturb about 1 % of clean windows (detectors.md §0.2, §1.7; re-measured in
`tests/analysis/eval_change.py`):

- a discovery at q = .01 (Benjamini–Hochberg over the cells of the window)
- a discovery at q = .05 now and in one of the two windows before
- an e-CUSUM at 20 × cells (e-detector, Shin, Ramdas & Rinaldo 2022): slow changes add up

each only where the rate is 1.5 times the past's and three traces or more above it. An alarm stands until
the rate is back; its windows are no part of the past, so that trouble does not become normal.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

from halo_otel.analysis.causality.inference import adjusted_p, beta_binomial, beta_binomial_tails
from halo_otel.analysis.change.verdicts import EXCESS_MIN, RATIO_MIN
from halo_otel.model.cell import CellCount, Trend

WARM_UP: Final = 20  # windows of a past; fewer say little about how a rate varies (§1.7)
# A change that is not noticed at once must not pass for the past meanwhile.
RECENT_WINDOWS: Final = 6
PAST_WINDOWS_MAX: Final = (
    288  # the newest ones of a cell that are compared with: a day of 5 minutes
)
ALONE: Final = 0.01
REPEATED: Final = 0.05
_LOOKS: Final = 2  # windows before, of which one must have shown it as well
CELLS_MAX: Final = 2_000  # pasts kept; beyond, only those of the last window
_BACK_P: Final = 0.2  # a rate this usual is back where it was

# §1.7: mixture over rate ratios, against the past's 90 % upper bound times 1.05, threshold 20 × cells.
_RATIOS: Final = (1.5, 2.0, 3.0, 5.0, 8.0)
_UPPER_Z: Final = 1.2815515655446004
_UPPER_SLACK: Final = 1.05
_CUSUM_PER_CELL: Final = 20.0
_RATE_MAX: Final = 0.97
_RHO_MIN: Final = 1e-4
_RHO_MAX: Final = 0.5


class Count(NamedTuple):
    """Affected of exposed traces."""

    affected: int
    exposed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a cell stands after a window. `usual` is the rate of its past, `p` is adjusted."""

    trend: Trend
    count: Count
    past: Count
    usual: float
    p: float


@dataclass(slots=True)
class _Past:
    windows: deque[Count] = field(default_factory=lambda: deque(maxlen=PAST_WINDOWS_MAX))
    recent: deque[Count] = field(default_factory=deque)  # not part of the past yet
    trend: Trend = Trend.STEADY
    suspicious: deque[bool] = field(default_factory=lambda: deque(maxlen=_LOOKS))
    evidence: float = 1.0  # of the e-CUSUM

    @property
    def total(self) -> Count:
        return Count(sum(w.affected for w in self.windows), sum(w.exposed for w in self.windows))

    def add(self, count: Count) -> None:
        """A window that shows nothing odd."""
        self.recent.append(count)
        if len(self.recent) > RECENT_WINDOWS:
            self.windows.append(self.recent.popleft())


class Monitor:
    """The pasts of all cells. `close` is called once per window, in order."""

    def __init__(self, history: Iterable[CellCount] = ()) -> None:
        self._pasts: dict[str, _Past] = {}
        for count in sorted(history, key=lambda one: (one.window_start_ns, one.cell)):
            past = self._pasts.setdefault(count.cell, _Past())
            past.trend = Trend.UP if count.odd else Trend.STEADY
            if not count.odd:
                past.add(Count(count.affected, count.exposed))

    def close(self, counts: Mapping[str, Count]) -> dict[str, Standing]:
        """How the cells that were at work in a window stand, those with a past long enough."""
        cells = sorted(cell for cell, count in counts.items() if count.exposed > 0)
        tested = [cell for cell in cells if len(self._past(cell).windows) >= WARM_UP]
        weights = self._weights(tested)
        tails = {cell: self._tails(cell, counts[cell], weights[cell]) for cell in tested}
        adjusted = {
            side: dict(zip(tested, adjusted_p([tails[cell][side] for cell in tested]), strict=True))
            for side in (0, 1)
        }
        standings = {}
        for cell in tested:
            p = (adjusted[0][cell], adjusted[1][cell])
            standings[cell] = self._stand(
                cell, counts[cell], p, tails[cell], weights[cell], len(tested)
            )
        for cell in cells:
            past = self._past(cell)
            if past.trend is Trend.UP:
                past.recent.clear()
            else:
                past.add(counts[cell])
        if len(self._pasts) > CELLS_MAX:  # names come from strangers
            self._pasts = {cell: self._pasts[cell] for cell in cells}
        return standings

    def _past(self, cell: str) -> _Past:
        return self._pasts.setdefault(cell, _Past())

    def _weights(self, cells: list[str]) -> dict[str, float]:
        """How firmly each past holds its rate: 1/rho - 1, at most as many traces as it has."""
        rhos = {cell: _overdispersion(self._past(cell)) for cell in cells}
        floor = max(_RHO_MIN, median(rhos.values())) if rhos else _RHO_MIN
        return {
            cell: min(1 / max(rho, floor) - 1, self._past(cell).total.exposed + 1.0)
            for cell, rho in rhos.items()
        }

    def _tails(self, cell: str, count: Count, weight: float) -> tuple[float, float]:
        usual = _usual(self._past(cell).total)
        return beta_binomial_tails(count.affected, count.exposed, usual, weight)

    def _stand(
        self,
        cell: str,
        count: Count,
        p: tuple[float, float],
        tails: tuple[float, float],
        weight: float,
        cells: int,
    ) -> Standing:
        past = self._past(cell)
        total = past.total
        usual = _usual(total)
        rate, excess = count.affected / count.exposed, count.affected - count.exposed * usual
        above = rate >= RATIO_MIN * usual and excess >= EXCESS_MIN
        below = rate * RATIO_MIN <= usual and -excess >= EXCESS_MIN
        past.evidence = max(past.evidence, 1.0) * _likelihood_ratio(count, total, weight)
        added_up = past.evidence >= _CUSUM_PER_CELL * cells
        past.evidence = 1.0 if added_up else past.evidence
        suspicious = above and p[0] <= REPEATED
        again = suspicious and any(past.suspicious)
        past.suspicious.append(suspicious)
        alarmed = (above and p[0] <= ALONE) or again or added_up
        lasting = past.trend is Trend.UP and (tails[0] <= _BACK_P or rate >= RATIO_MIN * usual)
        if alarmed or lasting:
            past.trend = Trend.UP
        elif below and p[1] <= ALONE:
            past.trend = Trend.DOWN
        elif past.trend is not Trend.DOWN or tails[1] > _BACK_P:
            past.trend = Trend.STEADY
        return Standing(
            trend=past.trend, count=count, past=total, usual=usual, p=p[past.trend is Trend.DOWN]
        )


def _usual(total: Count) -> float:
    """The past's rate, with half a case on either side so that it is never 0 or 1."""
    return (total.affected + 0.5) / (total.exposed + 1.0)


def _overdispersion(past: _Past) -> float:
    """Correlation of the traces of one window, by moments: variance of the rates beyond the binomial's."""
    windows, usual = past.windows, _usual(past.total)
    spread = math.fsum(w.exposed * (w.affected / w.exposed - usual) ** 2 for w in windows)
    mean_size = past.total.exposed / len(windows)
    if mean_size <= 1:
        return 0.0
    excess = spread / (len(windows) - 1) / (usual * (1 - usual)) - 1
    return min(_RHO_MAX, max(0.0, excess / (mean_size - 1)))


def _likelihood_ratio(count: Count, total: Count, weight: float) -> float:
    """Evidence of a window for a higher rate against the highest that the past allows."""
    k, n = count
    rate, size, square = _usual(total), total.exposed + 1.0, _UPPER_Z**2
    # Wilson's upper bound.
    centre = rate + square / (2 * size)
    reach = _UPPER_Z * math.sqrt(rate * (1 - rate) / size + square / (4 * size * size))
    null = min(0.95, _UPPER_SLACK * (centre + reach) / (1 + square / size))
    here = beta_binomial(k, n, null, weight)
    return math.fsum(
        math.exp(
            max(-50.0, min(50.0, beta_binomial(k, n, min(_RATE_MAX, null * r), weight) - here))
        )
        for r in _RATIOS
    ) / len(_RATIOS)
