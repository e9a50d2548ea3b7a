"""Who works in these traces, who answers at once, how long agents usually do nothing: mergeable, small.

A trace counts once for each agent, with its longest idleness, in logarithmic buckets of relative width 2 %.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_otel.analysis.frame import Frame

_WIDTH: Final = math.log(1.02)
_FLOOR_NS: Final = 1_000_000  # who is idle for less than 1 ms is not idle

_AGENTS: Final = (
    "select distinct halo_agent_key(agent) from frame_span where kind in ('llm', 'tool', 'agent')"
)
DELEGATING: Final = "(?i)^(ask|delegate|assign|dispatch|spawn|hand_?off|invoke|start)_|agent|worker"  # a tool's name
TAKEN_ON: Final = "(?i)accepted|queued|scheduled|submitted|dispatched|in.progress|started|pending"
_ANSWERED: Final = """
select call.service, call.agent, call.tool, count(distinct call.t)
from frame_call call join frame_text text using (s)
where not call.failed and regexp_matches(call.tool, $delegating)
  and text.result is not null and not regexp_matches(text.result, $taken_on)
group by all
"""
_IDLE: Final = """
select service, agent, floor(ln(greatest(gap_ns, $floor)) / $width)::integer as bucket, count(*) as n
from (select t, service, agent, max(gap_ns) as gap_ns from frame_idle group by all)
group by all
"""


class Delegation(NamedTuple):
    """A tool by which an agent gives work away."""

    service: str
    agent: str
    tool: str


class Member(NamedTuple):
    """An agent of a service."""

    service: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Teamwork:
    """`agents` by name as compared (`halo_agent_key`), traces in which who was asked answers with what came of
    it and not with a ticket, traces by longest idleness."""

    agents: frozenset[str] = frozenset()
    answered: Mapping[Delegation, int] = field(default_factory=dict)
    idle: Mapping[Member, Mapping[int, int]] = field(default_factory=dict)


def learn(frame: Frame) -> Teamwork:
    """What the frame's traces show."""
    agents = frozenset(name for (name,) in frame.con.execute(_AGENTS).fetchall())
    told = {"delegating": DELEGATING, "taken_on": TAKEN_ON}
    answered = {Delegation(*key): n for *key, n in frame.con.execute(_ANSWERED, told).fetchall()}
    idle: dict[Member, dict[int, int]] = {}
    rows = frame.con.execute(_IDLE, {"floor": _FLOOR_NS, "width": _WIDTH}).fetchall()
    for service, agent, bucket, n in rows:
        idle.setdefault(Member(service, agent), {})[bucket] = n
    return Teamwork(agents=agents, answered=answered, idle=idle)


def merge(parts: Iterable[Teamwork]) -> Teamwork:
    """What all traces together show."""
    agents: set[str] = set()
    answered: Counter[Delegation] = Counter()
    idle: dict[Member, Counter[int]] = {}
    for part in parts:
        agents |= part.agents
        answered.update(part.answered)
        for member, histogram in part.idle.items():
            idle.setdefault(member, Counter()).update(histogram)
    return Teamwork(agents=frozenset(agents), answered=answered, idle=idle)


def idle_ns(bucket: int) -> float:
    """The idleness a bucket stands for, within 1 %."""
    return math.exp((bucket + 0.5) * _WIDTH)
