"""The few formulas the analysis needs, on the standard library alone."""

import math

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % score interval of the rate `hits / total`; `(0, 1)` when nothing was seen.

    Wilson 1927, as recommended for small counts by Brown, Cai & DasGupta 2001.
    """
    if total <= 0:
        return 0.0, 1.0
    rate, square = hits / total, Z95 * Z95
    centre = rate + square / (2 * total)
    spread = Z95 * math.sqrt(rate * (1 - rate) / total + square / (4 * total * total))
    scale = 1 + square / total
    low = 0.0 if hits == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if hits == total else min(1.0, (centre + spread) / scale)
    return low, high


def risk_ratio_low(failed_in: int, total_in: int, failed_out: int, total_out: int) -> float:
    """Lower 95 % bound of the risk ratio of failing inside a group against outside of it.

    Katz log interval with half a case added to every cell (Haldane–Anscombe), so that empty cells
    stay finite; 0 when either side was not seen.
    """
    if total_in == 0 or total_out == 0:
        return 0.0
    a, n, b, m = failed_in + 0.5, total_in + 1.0, failed_out + 0.5, total_out + 1.0
    deviation = math.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    return (a / n) / (b / m) * math.exp(-Z95 * deviation)
