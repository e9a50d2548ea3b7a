"""Redundant calls: asked again, answered the same, with nothing written in between.

detectors.md §2.3 #6. Only calls that do not write themselves count; interpreters (`bash`, `run_sql`)
may write, so they neither count nor leave an answer valid. When the answers of one call differ within
a stretch without writes, the call was watching something: polling, not redundancy. An agent knows what it
was told since it was started: one that is called like a tool, again and again, begins anew each time.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_REPEATS: Final = """
with started as (
  -- Invocations side by side (after a handoff and back) go on with one conversation.
  select span.s, case when above.kind in ('tool', 'agent') then invoked.s else invoked.p end as context
  from frame_span span join frame_span invoked on span.run = invoked.s
  left join frame_span above on invoked.p = above.s
  where span.kind in ('tool', 'retriever')),
epochs as (
  select call.*, started.context,
         sum((effect in ('write', 'opaque'))::integer) over (partition by t order by s) as epoch
  from frame_call call left join started using (s) where not handoff),
asked as (
  select *, row_number() over w as time, first_value(s) over w as original
  from epochs
  where effect in ('read', 'unknown') and not failed and sig is not null and obs is not null
  window w as (partition by t, agent, context, epoch, sig order by s),
         alike as (partition by t, agent, context, epoch, sig)
  qualify min(obs) over alike = max(obs) over alike)
select asked.t, asked.service, asked.agent, asked.tool, asked.s, span.span_id, span.end_ns,
       span.resource_id, original.span_id as original_span_id, original.end_ns as original_end_ns,
       original.resource_id as original_resource, asked.tokens, asked.cost, asked.work_ns
from asked join frame_span span using (s) join frame_span original on asked.original = original.s
where asked.time > 1
order by asked.t, asked.service, asked.agent, asked.tool, asked.s
"""


class _Repeat(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    original_span_id: str
    original_end_ns: int
    original_resource: int
    tokens: int
    cost: float
    work_ns: int


def redundant_call(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool with at least one call that brought nothing new."""
    rows = map(_Repeat._make, frame.con.execute(_REPEATS).fetchall())
    return [_hit(list(same)) for _, same in groupby(rows, key=lambda row: row[:4])]


def _hit(repeats: list[_Repeat]) -> Hit:
    first = repeats[0]
    return Hit(
        detector="redundant_call",
        category="redundant_call",
        subject=Subject(service=first.service, agent=first.agent, tool=first.tool),
        exposure=Group(first.service, first.agent, "tool", first.tool),
        trace=first.t,
        spots=(
            spot(first, Role.CAUSE, "asked again with the same arguments, answered the same"),
            spot_at(
                first.original_span_id,
                first.original_end_ns,
                first.original_resource,
                Role.CONTRAST,
                "the first time it was asked",
            ),
        ),
        calls=frozenset(repeat.s for repeat in repeats),
        grade=Grade.INFERRED,
        waste=Waste(
            calls=len(repeats),
            tokens=sum(repeat.tokens for repeat in repeats),
            cost=sum(repeat.cost for repeat in repeats),
            ns=sum(repeat.work_ns for repeat in repeats),
        ),
        strength=len(repeats) + 1,
        slots={"times": str(len(repeats))},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} asks tool {wording.quoted(hit.subject.tool)} again "
        "for what it already knows",
        summary=f"{wording.rate(assessment)}: a call has the same arguments and the same answer as one before "
        f"it, with nothing written in between.{wording.waste(assessment)}",
        why="the call brought nothing that was not known",
        recommendation=f"Cache {wording.quoted(hit.subject.tool)} by its arguments within a run, or keep its "
        "answer in the context the agent sees.",
    )


REDUNDANT_CALL: Final = Detector(
    name="redundant_call",
    category="redundant_call",
    find=redundant_call,
    tell=_tell,
    prior=0.96,
    nature=Nature.INEFFICIENCY,
    isolated=Isolated.NEVER,
    habit=Habit.REPEATS,
    waste_floor=0.01,  # detectors.md §2.3 #6
    needs_payload=True,
    claims_calls=True,
)
