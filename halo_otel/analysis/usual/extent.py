"""How far runs usually go, learned: mergeable histograms over traces, one value of a trace to a group.

    result   characters of a tool's largest result
    growth   tokens by which an agent's prompt grows per turn, from its first to its last turn
    peak     tokens of an agent's largest prompt
    turns    turns of runs of an agent that end on a call, without an answer (exact, not bucketed)
    length   turns of all runs of an agent (exact)
    broken   output tokens of answers that break off and say no reason (exact)

Values are counted in logarithmic buckets 10 % wide: medians are known to ±5 %, and merging is addition
(the bucketing of DDSketch, Masson et al. 2019).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from halo_otel.analysis.frame import Frame

_WIDTH: Final = math.log(1.1)
TURNS_MAX: Final = 500  # longer runs are counted here
BROKEN_TOKENS_MIN: Final = 64  # a shorter answer is not cut off by a limit that somebody set


class Measure(NamedTuple):
    """What is counted, of whom; `tool` is "" where it is about the agent."""

    name: str
    service: str
    agent: str
    tool: str = ""


Extent = Mapping[Measure, Mapping[int, int]]  # value's bucket -> traces

# A run that ends on a call was stopped, unless the call is how it hands in its answer.
UNANSWERED: Final = """
select turn.t, turn.service, turn.agent, turn.run, count(*) as turns, max(turn.s) as s
from frame_speech turn
group by all
having max_by(calls, place) > 0
"""
_LEARN: Final = f"""
with measured as (
  select 'result' as name, service, agent, own_tool as tool, t, max(result_chars) as value
  from frame_span where result_chars > 0 and kind in ('tool', 'retriever') group by all
  union all
  select 'growth', service, agent, '', t,
         max((last - first) / (turns - 1)) as value
  from (select t, service, agent, run, min_by(prompt, place) as first, max_by(prompt, place) as last,
               count(*) as turns
        from frame_speech where prompt > 0 group by all having count(*) >= 3) group by all
  union all
  select 'peak', service, agent, '', t, max(prompt) from frame_speech where prompt > 0 group by all)
select name, service, agent, tool, floor(ln(greatest(value, 1)) / $width)::integer as bucket, count(*)
from measured group by all
union all
select 'turns', service, agent, '', least(turns, $turns_max)::integer, count(*)
from (select t, service, agent, max(turns) as turns from ({UNANSWERED}) group by all) group by all
union all
select 'length', service, agent, '', least(turns, $turns_max)::integer, count(*)
from (select t, service, agent, max(turns) as turns from frame_speech group by all) group by all
union all
select 'broken', service, agent, '', output_tokens::integer, count(distinct turn.t)
from frame_speech turn join frame_text text using (s)
where finish is null and calls = 0 and not failed and breaks_off and output_tokens between $broken_min and 2147483647
group by all
"""  # noqa: S608 our query


def learn(frame: Frame) -> Extent:
    """The extent of the frame's traces."""
    found: dict[Measure, Counter[int]] = {}
    rows = frame.con.execute(
        _LEARN, {"width": _WIDTH, "turns_max": TURNS_MAX, "broken_min": BROKEN_TOKENS_MIN}
    ).fetchall()
    for name, service, agent, tool, bucket, n in rows:
        found.setdefault(Measure(name, service, agent, tool), Counter())[bucket] += n
    return found


def merge(extents: Iterable[Extent]) -> Extent:
    """The extent of all traces together."""
    merged: dict[Measure, Counter[int]] = {}
    for extent in extents:
        for measure, histogram in extent.items():
            merged.setdefault(measure, Counter()).update(histogram)
    return merged


def median(extent: Extent, measure: Measure, *, traces_min: int) -> float | None:
    """The lower median of a bucketed measure, within 5 %; None if fewer traces than that are known."""
    histogram = extent.get(measure, {})
    total = sum(histogram.values())
    if total < max(1, traces_min):
        return None
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if 2 * seen >= total:
            return math.exp((bucket + 0.5) * _WIDTH)
    return None
