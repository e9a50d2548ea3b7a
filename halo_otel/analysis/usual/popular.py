"""Calls that many traces make with the same arguments and are answered the same: worth a cache.

Only what writes nothing, has arguments to be remembered by and is answered alike everywhere counts; one other answer and the call is
watching something. A shard keeps its commonest `CALLS_KEPT`, so the statistics stay small; shards add
up, exactly as long as none has more.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from halo_otel.analysis.frame import Frame

CALLS_KEPT: Final = 10_000

_LEARN: Final = """
select service, agent, tool, sig::varchar, min(obs)::varchar as obs, count(distinct t) as traces,
       min(obs) <> max(obs) as varies
from frame_call semi join frame_argument using (s)
where effect = 'read' and sig is not null and obs is not null and not failed and not handoff
group by service, agent, tool, sig
order by traces desc, service, agent, tool, sig limit $kept
"""


class Call(NamedTuple):
    """One call with its arguments, as a hash in decimal digits."""

    service: str
    agent: str
    tool: str
    sig: str


class Seen(NamedTuple):
    """Its answer (a hash), how many traces make it, and whether it is ever answered otherwise."""

    obs: str
    traces: int
    varies: bool


Popular: TypeAlias = Mapping[Call, Seen]


def learn(frame: Frame) -> Popular:
    """The calls of the frame's traces."""
    rows = frame.con.execute(_LEARN, {"kept": CALLS_KEPT}).fetchall()
    return {Call(*row[:4]): Seen(*row[4:]) for row in rows}


def merge(parts: Iterable[Popular]) -> Popular:
    """All shards together."""
    seen: dict[Call, Seen] = {}
    for part in parts:
        for call, more in part.items():
            known = seen.get(call)
            if known is None:
                seen[call] = more
            else:
                varies = known.varies or more.varies or known.obs != more.obs
                seen[call] = Seen(known.obs, known.traces + more.traces, varies)
    return seen
