"""What is usual: mergeable, small statistics, learned from whatever traces are at hand.

How long comparable operations take: a trace gives at most `SAMPLES_PER_TRACE` spans to a group, chosen
by the hash of their ids, so that one runaway trace is not the group (the unit of evidence is the trace,
detectors.md §0.2). How tools are called (`tooluse`), how runs go (`course`), who works (`teamwork`), what they spend (`spending`),
which calls many traces make (`popular`), and under which circumstances calls are made (`circumstances`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from halo_otel.analysis.claims.hit import Group
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.teams import teamwork
from halo_otel.analysis.usual import circumstances, course, extent, popular, spending, tooluse
from halo_otel.analysis.usual.circumstances import Circumstances
from halo_otel.analysis.usual.extent import Extent
from halo_otel.analysis.usual.histogram import BUCKET_WIDTH, Histogram
from halo_otel.analysis.usual.popular import Popular
from halo_otel.analysis.usual.spending import Root, Spending

SAMPLES_PER_TRACE: Final = 4

_DURATIONS: Final = """
with operation as (
  select t, s, service, agent, 'tool' as operation, tool as target, end_ns - start_ns as ns
  from frame_call where not delegates  -- as long as the agent's work takes
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
    """The statistics by what they are about."""

    durations: Mapping[Group, Histogram] = field(default_factory=dict)
    circumstances: Mapping[Group, Circumstances] = field(default_factory=dict)
    tools: Mapping[tooluse.Tool, tooluse.ToolUse] = field(default_factory=dict)
    spending: Mapping[Root, Spending] = field(default_factory=dict)
    popular: Popular = field(default_factory=dict)
    team: teamwork.Teamwork = field(default_factory=teamwork.Teamwork)
    usual: course.Course = field(default_factory=course.Course)
    extents: Extent = field(default_factory=dict)


def learn(frame: Frame) -> Profile:
    """The profile of the frame's traces."""
    rows = frame.con.execute(
        _DURATIONS, {"samples": SAMPLES_PER_TRACE, "width": BUCKET_WIDTH}
    ).fetchall()
    durations: dict[Group, dict[int, int]] = {}
    for service, agent, operation, target, bucket, n in rows:
        group = Group(service, agent, operation, target)
        durations.setdefault(group, {})[bucket] = n
    return Profile(
        durations=durations,
        circumstances=circumstances.learn(frame),
        tools=tooluse.learn(frame),
        team=teamwork.learn(frame),
        usual=course.learn(frame),
        extents=extent.learn(frame),
        spending=spending.learn(frame),
        popular=popular.learn(frame),
    )


def merge(profiles: Iterable[Profile]) -> Profile:
    """The profile of all traces together."""
    known = list(profiles)
    durations: dict[Group, Counter[int]] = {}
    for profile in known:
        for group, histogram in profile.durations.items():
            durations.setdefault(group, Counter()).update(histogram)
    return Profile(
        durations=durations,
        circumstances=circumstances.merge(profile.circumstances for profile in known),
        tools=tooluse.merge(profile.tools for profile in known),
        team=teamwork.merge(profile.team for profile in known),
        spending=spending.merge(profile.spending for profile in known),
        popular=popular.merge(profile.popular for profile in known),
        usual=course.merge(profile.usual for profile in known),
        extents=extent.merge(profile.extents for profile in known),
    )
