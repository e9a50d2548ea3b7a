"""Amounts counted in logarithmic buckets of relative width 2 %, so any quantile is known to ±1 %.

The bucketing of DDSketch (Masson et al. 2019) without its collapsing: amounts of one kind take a few
hundred buckets. Counts are integers: merging is addition, in any order.
"""

import math
from collections.abc import Mapping
from typing import Final, TypeAlias

BUCKET_WIDTH: Final = math.log(1.02)

Histogram: TypeAlias = Mapping[int, int]  # bucket -> how many


def middle(bucket: int) -> float:
    """The amount a bucket stands for, within 1 %."""
    return math.exp((bucket + 0.5) * BUCKET_WIDTH)
