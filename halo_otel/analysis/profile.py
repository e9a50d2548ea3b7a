"""How long comparable operations take: mergeable, small, learned from whatever traces are at hand.

Durations are counted in logarithmic buckets of relative width 2 %, so any quantile is known to ±1 %
(the bucketing of DDSketch, Masson et al. 2019, without its collapsing: a group has at most a few
hundred buckets). A trace gives at most `SAMPLES_PER_TRACE` spans to a group, chosen by the hash of
their ids, so that one runaway trace is not the group (the unit of evidence is the trace,
detectors.md §0.2). Counts are integers: merging is addition, in any order.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from halo_otel.analysis.frame import Frame
from halo_otel.analysis.hit import Group

BUCKET_WIDTH: Final = math.log(1.02)
SAMPLES_PER_TRACE: Final = 4

Histogram = Mapping[int, int]  # bucket -> spans

_DURATIONS: Final = """
with operation as (
  select t, s, service, agent, 'tool' as operation, tool as target, end_ns - start_ns as ns
  from frame_call
  union all
  select t, s, service, agent, 'llm' as operation, coalesce(model, '') as target,
         end_ns - start_ns as ns
  from frame_turn),
sampled as (
  select operation.* from operation join frame_span span using (s)
  qualify row_number() over (
    partition by operation.t, operation.service, operation.agent, operation, target
    order by hash(span.span_id), span.span_id) <= $samples)
select service, agent, operation, target, floor(ln(greatest(ns, 1)) / $width)::integer as bucket,
       count(*) as n
from sampled group by all
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Duration histograms by group."""

    durations: Mapping[Group, Histogram] = field(default_factory=dict)


def learn(frame: Frame) -> Profile:
    """The profile of the frame's traces."""
    rows = frame.con.execute(
        _DURATIONS, {"samples": SAMPLES_PER_TRACE, "width": BUCKET_WIDTH}
    ).fetchall()
    durations: dict[Group, dict[int, int]] = {}
    for service, agent, operation, target, bucket, n in rows:
        group = Group(service, agent, operation, target)
        durations.setdefault(group, {})[bucket] = n
    return Profile(durations=durations)


def merge(profiles: Iterable[Profile]) -> Profile:
    """The profile of all traces together."""
    durations: dict[Group, Counter[int]] = {}
    for profile in profiles:
        for group, histogram in profile.durations.items():
            durations.setdefault(group, Counter()).update(histogram)
    return Profile(durations=durations)


def middle_ns(bucket: int) -> float:
    """The duration a bucket stands for, within 1 %."""
    return math.exp((bucket + 0.5) * BUCKET_WIDTH)
