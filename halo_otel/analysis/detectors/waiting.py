"""Waiting: an agent does nothing for a large part of the run, far longer than in its other runs.

detectors.md §2.3 #33: idle at a stretch for more than 20 % of the run, and a robust z of more than 3.5 among the
better half of the agent's runs, on logarithms (Iglewicz and Hoaglin 1993). An agent that takes part in few of its
service's runs is compared with the agents beside it: it may have been started only where it waits. How idleness
is told says `frame.idle`: waiting for a person is none.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.teams import resources
from halo_otel.analysis.teams.teamwork import Member, idle_ns
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_SHARE_MIN: Final = 0.2
_ROBUST_Z_MIN: Final = 3.5
_SPREAD_MIN: Final = math.log(1.3)  # peers that agree within 30 % are not more exact than that
_PEERS_MIN: Final = 10
_RARE_SHARE: Final = 0.5  # of the runs of the busiest agent beside it
_SHORT_NS: Final = 10e9  # slow turns and calls take as long, and agents that share a process
_LET_GO_NS: Final = (
    2_000_000_000  # what ended so shortly before an agent went on is what it waited for
)

_WAITS: Final = """
with waited as (
  select * from frame_idle join (
    select unnest($service::varchar[]) as service, unnest($agent::varchar[]) as agent,
           unnest($above_ns::double[]) as above_ns) using (service, agent)
  where gap_ns >= above_ns and gap_ns >= $share * run_ns
  qualify row_number() over (partition by t, service, agent order by gap_ns desc, s) = 1),
held as (
  select waited.s, arg_max(other.s, (other.end_ns, other.s)) as other_s
  from waited join frame_span other on other.t = waited.t and other.agent <> waited.agent
    and other.kind in ('llm', 'tool', 'agent') and other.end_ns <= waited.gap_end_ns
    and other.end_ns > waited.gap_end_ns - least(waited.gap_ns, $let_go)
  group by waited.s)
select waited.t, waited.service, waited.agent, waited.s, waited.gap_ns, waited.run_ns, waited.after_s, waited.wait_s,
       held.other_s, other.agent as other
from waited left join held using (s) left join frame_span other on held.other_s = other.s
order by waited.t, waited.service, waited.agent
"""


class _Wait(NamedTuple):
    t: int
    service: str
    agent: str
    s: int
    gap_ns: int
    run_ns: int
    after_s: int | None
    wait_s: int | None  # a span that tells of the waiting
    other_s: int | None  # what ended just before the agent went on
    other: str | None


def waiting(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and agent."""
    peers = {member: _peers(member, profile.team.idle) for member in sorted(profile.team.idle)}
    limits = {member: _above_ns(idle) for member, idle in peers.items()}
    known = {member: above for member, above in limits.items() if above is not None}
    if not known:
        return []
    rows = frame.con.execute(
        _WAITS,
        {
            "service": [member.service for member in known],
            "agent": [member.agent for member in known],
            "above_ns": list(known.values()),
            "share": _SHARE_MIN,
            "let_go": _LET_GO_NS,
        },
    ).fetchall()
    waits = [_Wait(*row) for row in rows]
    spans = (s for one in waits for s in (one.s, one.after_s, one.wait_s, one.other_s))
    where = resources.places(frame, spans)
    usual = {member: _usual_ns(peers[member]) for member in known}
    return [_hit(one, usual[Member(one.service, one.agent)], where) for one in waits]


def _peers(member: Member, idle: Mapping[Member, Mapping[int, int]]) -> Mapping[int, int]:
    """The idleness to compare an agent's with: its own runs', of a rare agent those of the agents beside it."""
    beside = {
        other: runs
        for other, runs in idle.items()
        if other.service == member.service and other != member
    }
    busiest = max((sum(runs.values()) for runs in beside.values()), default=0)
    if sum(idle[member].values()) > _RARE_SHARE * busiest:
        return idle[member]
    together: Counter[int] = Counter()
    for runs in beside.values():
        together.update(runs)
    return together


def _above_ns(idle: Mapping[int, int]) -> float | None:
    """Where idleness begins to stand out from the agent's better half of runs; None with too few runs."""
    if sum(idle.values()) < _PEERS_MIN:
        return None
    middle = math.log(_usual_ns(idle))
    away: Counter[float] = Counter()
    left = sum(idle.values()) / 2
    for bucket in sorted(idle):
        if left <= 0:
            break
        away[abs(math.log(idle_ns(bucket)) - middle)] += idle[bucket]
        left -= idle[bucket]
    spread = max(_SPREAD_MIN, _quantile(away, 0.5))
    return max(_SHORT_NS, math.exp(middle + _ROBUST_Z_MIN * spread / 0.6745))


def _usual_ns(idle: Mapping[int, int]) -> float:
    """The median of the better half, so that what happens in most runs can still be told."""
    return idle_ns(round(_quantile(idle, 0.25)))


def _quantile(counts: Mapping[int, int] | Mapping[float, int], share: float) -> float:
    known = sorted(counts.items())
    target, seen = share * sum(n for _, n in known), 0
    for value, n in known:
        seen += n
        if seen >= target:
            return value
    return 0.0


def _hit(one: _Wait, usual_ns: float, where: dict[int, resources.Place]) -> Hit:
    seconds, share = one.gap_ns / 1e9, one.gap_ns / max(1, one.run_ns)
    note = f"{one.agent} does nothing for {seconds:.1f} s, {share:.0%} of the run"
    spots = [where[one.s if one.wait_s is None else one.wait_s].spot(Role.CAUSE, note)]
    if one.wait_s is not None:
        spots.append(where[one.s].spot(Role.SYMPTOM, f"{one.agent} waits in here"))
    if one.after_s is not None:
        spots.append(where[one.after_s].spot(Role.SYMPTOM, "what it did when it went on"))
    if one.other_s is not None:
        spots.append(where[one.other_s].spot(Role.CONTRAST, f"{one.other} was at work until then"))
    return Hit(
        detector="waiting",
        category="waiting",
        subject=Subject(service=one.service, agent=one.agent),
        exposure=Group(one.service, one.agent, EVERYTHING),
        trace=one.t,
        spots=tuple(spots),
        calls=frozenset({one.s}),
        grade=Grade.EXPLICIT if one.wait_s is not None else Grade.INFERRED,
        waste=Waste(ns=one.gap_ns),
        strength=1,
        slots={"other": one.other or "", "usual": f"{usual_ns / 1e9:.1f}", "share": f"{share:.0%}"},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    hits = [one for found in assessment.pattern.hits.values() for one in found]
    agent = wording.quoted(hit.subject.agent)
    others = sorted({one.slots["other"] for one in hits if one.slots["other"]})[:3]
    until = f" until {', '.join(map(wording.quoted, others))} is done" if others else ""
    return wording.Sentences(
        title=f"Agent {agent} waits for a large part of the run",
        summary=f"{wording.rate(assessment)}: it does nothing{until}, for example for {hit.slots['share']} of the run;"
        f" usually it is idle for {hit.slots['usual']} s. That cost {assessment.impact.seconds_wasted:.1f} s.",
        why="the agent had begun and nothing of what it started was running",
        recommendation=f"Start {agent} only when what it needs is there, or give its queue more workers and a"
        " limit of time after which it goes on without"
        + (f" {wording.quoted(others[0])}." if others else " what it waits for."),
    )


WAITING: Final = Detector(
    name="waiting",
    category="waiting",
    find=waiting,
    tell=_tell,
    prior=0.95,
    nature=Nature.INEFFICIENCY,
    isolated=Isolated.NEVER,
)
