"""Duplicate work: one agent does again what another agent of the run has done, with the same result.

detectors.md §2.3 #30. The same calls of the same tools by two agents, answered the same, with nothing
written in between to what they are about. One shared look-up is how workers begin (a fan-out in which all
read the same brief), so at least two different calls must be repeated, and they must be a large part of
what the second agent does. Where most good runs do so it is meant: a checker checks. One that takes part in
few runs and does nothing of its own there is no checker.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.teams import resources
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_COPIES_MIN: Final = 2  # one is a shared look-up
_COPIES_MANY: Final = 3
_SHARE_MIN: Final = 0.5  # of the second agent's own readings, where the copies are few

# What an interpreter or a tool without a noun writes may be anything. Only an agent's first call of a
# kind counts: that it asks again itself is redundancy.
_COPIES: Final = """
with call as (
  select *, halo_family(tool) as family from frame_call
  where not handoff and t in (
    select t from frame_call where not handoff group by t having count(distinct agent) > 1)),
epochs as (
  select *, hash(count(*) filter (effect = 'write') over (partition by t, family order by s),
                 count(*) filter (effect = 'opaque' or (effect = 'write' and len(family) = 0))
                   over (partition by t order by s)) as epoch
  from call),
own as (
  select * from epochs
  where effect in ('read', 'unknown') and not failed and sig is not null and obs is not null
  qualify row_number() over (partition by t, agent, sig order by s) = 1),
asked as (
  select *, first_value(s) over w as first_s, first_value(agent) over w as first_agent,
         first_value(service) over w as first_service
  from own window w as (partition by t, epoch, sig order by s)
  qualify min(obs) over (partition by t, epoch, sig) = max(obs) over (partition by t, epoch, sig)),
size as (select t, agent, count(*) as calls from own group by all),
every as (select t, agent, count(*) as all_calls from frame_call where not handoff group by all)
select asked.t, asked.service, asked.agent, first_agent, asked.tool, asked.s, first_s, tokens, cost, work_ns,
       size.calls, first_service, all_calls
from asked join size using (t, agent) join every using (t, agent) where first_agent <> asked.agent
qualify count(*) over (partition by asked.t, asked.service, asked.agent, first_agent) >= $copies
order by asked.t, asked.service, asked.agent, first_agent, asked.s
"""


class _Copy(NamedTuple):
    t: int
    service: str
    agent: str
    first_agent: str
    tool: str
    s: int
    first_s: int
    tokens: int
    cost: float
    work_ns: int
    calls: int  # different readings of the agent in the trace
    first_service: str
    all_calls: int  # of the agent in the trace, of any kind


def duplicate_work(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and pair of agents."""
    rows = map(_Copy._make, frame.con.execute(_COPIES, {"copies": _COPIES_MIN}).fetchall())
    pairs = [list(same) for _, same in groupby(rows, key=lambda row: row[:4])]
    pairs = [
        same
        for same in pairs
        if len(same) >= max(_SHARE_MIN * same[0].calls, _COPIES_MIN) or len(same) >= _COPIES_MANY
    ]
    where = resources.places(
        frame, (s for same in pairs for row in same for s in (row.s, row.first_s))
    )
    return [_hit(same, where) for same in pairs]


def _hit(copies: list[_Copy], where: dict[int, resources.Place]) -> Hit:
    first, last = copies[0], copies[-1]
    tools = sorted({copy.tool for copy in copies})
    only_copies = _COPIES_MANY <= len(copies) == first.all_calls
    needless = Group(first.first_service, first.first_agent, EVERYTHING)
    return Hit(
        detector="duplicate_work",
        category="duplicate_work",
        subject=Subject(service=first.service, agent=first.agent),
        exposure=needless if only_copies else Group(first.service, first.agent, EVERYTHING),
        scope=(first.first_agent,),
        trace=first.t,
        spots=(
            where[first.s].spot(
                Role.CAUSE, f"{first.agent} asks what {first.first_agent} has asked"
            ),
            where[first.first_s].spot(
                Role.CONTRAST, f"{first.first_agent} was told the same before"
            ),
            where[last.s].spot(Role.SYMPTOM, f"last of {len(copies)} calls done twice"),
        ),
        calls=frozenset(copy.s for copy in copies),
        grade=Grade.EXPLICIT,
        waste=Waste(
            calls=len(copies),
            tokens=sum(copy.tokens for copy in copies),
            cost=sum(copy.cost for copy in copies),
            ns=sum(copy.work_ns for copy in copies),
        ),
        strength=len(copies),
        slots={
            "first": first.first_agent,
            "tools": ", ".join(wording.quoted(tool) for tool in tools[:3]),
        },
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    agent, first = wording.quoted(hit.subject.agent), wording.quoted(hit.slots["first"])
    return wording.Sentences(
        title=f"Agent {agent} does again what agent {first} has done",
        summary=f"{wording.rate(assessment)}: up to {wording.most(assessment)} calls ({hit.slots['tools']}) have the same"
        f" arguments and answers as those of {first} before.{wording.waste(assessment)}",
        why="another agent of the same run had this answer already",
        recommendation=f"Hand what {first} found on to {agent} (in the task it is given, or in a store both read),"
        f" share a cache of {hit.slots['tools']} within a run, or give the two different parts of the work.",
    )


DUPLICATE_WORK: Final = Detector(
    name="duplicate_work",
    category="duplicate_work",
    find=duplicate_work,
    tell=_tell,
    prior=0.95,
    nature=Nature.INEFFICIENCY,
    isolated=Isolated.NEVER,
    habit=Habit.SHOWN,
    waste_floor=0.01,  # detectors.md §2.3 #30
    needs_payload=True,
    claims_calls=True,
)
