"""Serial calls: what needs nothing of each other is done one after the other.

Two ways to know it. *Together*: one model turn asked for all of the calls, so the model itself says that
it needs none of their results. *One by one*: turn after turn calls one reading tool for another thing,
and every call names a thing by an id that was known before the first of them (data flow). Calls are
serial when each begins after the one before has ended; they write nothing, none uses an id that one of
them brought (unknown arguments or results: no claim), and side by side they would save at least 20 % of
the run (detectors.md §2.3 #24).
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_CALLS_MIN: Final = 3
_SHARE_MIN: Final = 0.2

# A turn that made no call between two others is not known to have asked for all at once, so a call
# whose turn is only the latest one before it must have followed without a turn in between.
_BATCHES: Final = """
with run as (
  select t, min(start_ns) as start_ns, max(end_ns) as end_ns from frame_span group by t),
call as (
  select *, lag(end_ns) over w as before_ns from frame_call
  where turn_s is not null and effect <> 'write' and not handoff
  window w as (partition by t, agent, turn_s order by start_ns, s)),
batch as (
  select t, agent, turn_s, count(*) as n,
         bool_and(before_ns is null or start_ns >= before_ns) as serial,
         sum(end_ns - start_ns)::bigint as sum_ns, max(end_ns - start_ns) as longest_ns,
         bool_and(effect <> 'opaque' and arguments_known and result_known) as readable
  from call group by all
  having n >= $calls_min and serial and readable),
dependent as (
  select distinct later.t, later.turn_s from frame_argument argument
  join call later on argument.s = later.s join call earlier on argument.src = earlier.s
  where later.turn_s = earlier.turn_s)
select batch.t, call.service, batch.agent, batch.turn_s, batch.n, batch.sum_ns - batch.longest_ns as saved_ns,
       run.end_ns - run.start_ns as run_ns, call.tool, call.s, span.span_id, span.end_ns, span.resource_id,
       turn.span_id as turn_span_id, turn.end_ns as turn_end_ns, turn.resource_id as turn_resource
from batch join run using (t) join call using (t, agent, turn_s) join frame_span span on call.s = span.s
join frame_span turn on batch.turn_s = turn.s
where (batch.sum_ns - batch.longest_ns) >= $share_min * (run.end_ns - run.start_ns)
  and (batch.t, batch.turn_s) not in (from dependent)
  and turn.end_ns <= call.start_ns
order by batch.t, batch.agent, batch.turn_s, call.s
"""


# Runs of calls of one tool, one to a turn, each about another id that was said before the run began.
_ONE_BY_ONE: Final = """
with run as (
  select t, min(start_ns) as start_ns, max(end_ns) as end_ns from frame_span group by t),
call as (
  select *, lag(end_ns) over w as before_ns,
         coalesce(tool <> lag(tool) over w or start_ns < lag(end_ns) over w
                  or turn_s is null or turn_s = lag(turn_s) over w, true) as begins
  from frame_call where not handoff window w as (partition by t, agent order by s)),
numbered as (select *, sum(begins::integer) over (partition by t, agent order by s) as batch from call),
known as (select s, min(src) as src, bool_and(src is not null) as said, max(src) as latest
          from frame_argument where is_id group by s),
batch as (
  select numbered.t, agent, batch, count(*) as n, min(numbered.s) as first_s,
         sum(end_ns - start_ns)::bigint as sum_ns, max(end_ns - start_ns) as longest_ns
  from numbered left join known on numbered.s = known.s
  group by numbered.t, agent, batch
  having n >= $calls_min and count(distinct sig) = n and bool_and(effect in ('read', 'unknown'))
     and bool_and(arguments_known and result_known and not failed and not delegates)
     and bool_and(coalesce(known.said, false)) and max(known.latest) < min(numbered.s))
select batch.t, call.service, batch.agent, batch.first_s as turn_s, batch.n,
       batch.sum_ns - batch.longest_ns as saved_ns, run.end_ns - run.start_ns as run_ns, call.tool, call.s,
       span.span_id, span.end_ns, span.resource_id, turn.span_id as turn_span_id,
       turn.end_ns as turn_end_ns, turn.resource_id as turn_resource
from batch join run using (t) join numbered call using (t, agent, batch)
join frame_span span on call.s = span.s
join numbered first on batch.first_s = first.s join frame_span turn on first.turn_s = turn.s
where batch.sum_ns - batch.longest_ns >= $share_min * (run.end_ns - run.start_ns)
order by batch.t, batch.agent, batch.first_s, call.s
"""


class _Call(NamedTuple):
    t: int
    service: str
    agent: str
    turn_s: int
    n: int
    saved_ns: int
    run_ns: int
    tool: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    turn_span_id: str
    turn_end_ns: int
    turn_resource: int


def serial_calls(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and set of tools that one turn's calls were made serially with."""
    limits = {"calls_min": _CALLS_MIN, "share_min": _SHARE_MIN}
    batches = [
        (list(calls), grade)
        for query, grade in ((_BATCHES, Grade.EXPLICIT), (_ONE_BY_ONE, Grade.INFERRED))
        for _, calls in groupby(
            map(_Call._make, frame.con.execute(query, limits).fetchall()),
            key=lambda call: (call.t, call.turn_s),
        )
    ]
    hits: dict[tuple[int, str, str], Hit] = {}
    for calls, grade in batches:
        hit = _hit(calls, grade)
        tools = hit.slots["tools"]
        known = hits.get((hit.trace, calls[0].agent, tools))
        if known is None or hit.waste.ns > known.waste.ns:
            hits[hit.trace, calls[0].agent, tools] = hit
    return list(hits.values())


def _hit(calls: list[_Call], grade: Grade) -> Hit:
    first = calls[0]
    names = sorted({call.tool for call in calls})
    tool = names[0] if len(names) == 1 else None
    tools = ", ".join(names)
    return Hit(
        detector="serial_calls",
        category="serial_calls",
        subject=Subject(service=first.service, agent=first.agent, tool=tool),
        exposure=Group(first.service, first.agent, "tool", tool or ""),
        scope=(tools,),
        trace=first.t,
        spots=(
            spot_at(
                first.turn_span_id,
                first.turn_end_ns,
                first.turn_resource,
                Role.CAUSE,
                f"the first of {first.n} calls could have been made with the others",
            ),
            *(
                spot(
                    call,
                    Role.SYMPTOM,
                    f"waited for the call before it, which it does not need ({call.tool})",
                )
                for call in calls[1:3]
            ),
        ),
        calls=frozenset(call.s for call in calls),
        grade=grade,
        waste=Waste(ns=first.saved_ns),
        strength=first.n,
        slots={"tools": tools, "share": f"{first.saved_ns / max(1, first.run_ns):.0%}"},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    tools = wording.plain(hit.slots["tools"])
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} makes independent calls one after the other",
        summary=f"{wording.rate(assessment)}: up to {wording.most(assessment)} calls of {tools} that need "
        "nothing of each other; side by side they would save "
        f"{assessment.impact.seconds_wasted:.1f} s in all.",
        why="all that these calls needed was known by then",
        recommendation=f"Ask for them together and run them concurrently: {tools}. Most models can call several "
        "tools in one turn and most frameworks have a setting for it; or give the tool a list. Nothing is "
        "written between them and none uses what another brought.",
    )


SERIAL_CALLS: Final = Detector(
    name="serial_calls",
    category="serial_calls",
    find=serial_calls,
    tell=_tell,
    prior=0.95,
    nature=Nature.INEFFICIENCY,
    isolated=Isolated.NEVER,
    needs_payload=True,
)
