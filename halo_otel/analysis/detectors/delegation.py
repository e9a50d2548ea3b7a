"""Orphaned delegations: work that is given to an agent and never begins, never ends, or that nobody uses.

detectors.md §2.3 #32.
never begun   a handoff to an agent that is known from these traces, and nothing of it in this one
never ended   an agent that was asked by another one ends with a call, and has no answer
uncollected   a call that takes on a task gives a ticket, and nobody ever asks for what came of it
unheard       the asking agent gives its last answer while the asked one still works; or the run that a named
              agent was called in ends before that one does
Work that changes something itself (a notification sent, a record written) is its own result: fire and
forget is no fault. Where most good runs look so it is how the telemetry is, or the agents work; a ticket of one who
otherwise answers with what came of it is an exception however frequent.
"""

from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.teams import resources, teamwork
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_ANSWERED_MIN: Final = 3  # runs in which who gives a ticket here answers with what came of it

_NOT_BEGUN: Final = r"""
with handoff as (
  select span.t, span.s, span.service, span.agent, span.kind, span.own_tool, span.start_ns, coalesce(span.handoff_target,
           nullif(regexp_extract(span.own_tool,
             '(?i)^(?:transfer_(?:back_)?to|hand_?off(?:_to)?|delegate_(?:work_)?to)_?(.+)$', 1), '')) as target
  from frame_span span left join frame_call call using (s)
  where (span.hands_off or coalesce(call.handoff, false)) and not span.failed)
select 'begun' as how, handoff.t, handoff.service, handoff.agent, handoff.target as delegate, handoff.kind, handoff.own_tool, handoff.s,
       null as other_s
from handoff
anti join frame_span worker on worker.t = handoff.t and worker.start_ns >= handoff.start_ns and worker.s <> handoff.s
  and worker.kind in ('llm', 'tool', 'agent') and halo_agent_key(worker.agent) = halo_agent_key(handoff.target)
where target is not null and list_contains($agents::varchar[], halo_agent_key(target))
  and not regexp_matches(target, '(?i)human|operator|customer|user')
order by handoff.t, handoff.s
"""
# A task that is taken on under a ticket is asked for again by it, unless it was only to tell somebody.
_NOT_COLLECTED: Final = r"""
with taken as (
  select call.t, call.s, call.service, call.agent, call.tool, call.end_ns,
         regexp_extract(text.result,
           '(?i)"(?:ticket|task|job|run|request|delegation|handle)(?:_?id)?\\?"\s*:\s*\\?"?([\w.-]{3,64})', 1) as ticket
  from frame_call call join frame_text text using (s)
  where not call.failed and text.result_chars < 500
    and regexp_matches(call.tool, $delegating) and regexp_matches(text.result, $taken_on)
    and not regexp_matches(concat_ws(' ', call.tool, text.arguments),
      '(?i)(^|[^a-z])(notif|alert|audit|archiv|publish|send|post|tell|inform|announce|remind|let [a-z]+ know|fyi)'))
select 'collected' as how, taken.t, taken.service, taken.agent, taken.tool as delegate, 'tool' as kind, taken.tool as own_tool,
       taken.s, null as other_s
from taken
anti join frame_text later on later.t = taken.t and later.s > taken.s and later.kind = 'tool'
  and contains(concat_ws(' ', later.arguments, later.result), taken.ticket)
where ticket <> ''
order by taken.t, taken.s
"""
# An agent's span below another agent's. What it did is told by its name and its time.
_DELEGATES: Final = r"""
create or replace temp table team_delegate as
with asked as (
  select low.t, low.s, low.service, low.agent, low.start_ns, low.end_ns, top.agent as asker, top.s as asker_s,
         top.kind = 'chain' or top.kind = 'other' and top.agent = top.service as beside
  from frame_span low join frame_span top on low.p = top.s
  where low.kind = 'agent' and low.agent <> top.agent and not low.failed
    and not regexp_matches(low.agent, '(?i)notif|alert|audit|log(ger|ging)|archiv|clean|index|record|publish|monitor')),
step as (
  select t, s, agent, start_ns, end_ns, kind, failed, finish_reason, own_tool from frame_span
  where kind in ('llm', 'tool', 'retriever') and t in (select t from asked)),
did as (
  select asked.s, count(step.s) as steps, arg_max(step.kind, (step.end_ns, step.s)) as last_kind,
         arg_max(coalesce(step.finish_reason, ''), (step.end_ns, step.s)) as finish,
         arg_max(step.failed, (step.end_ns, step.s)) as failed,
         max(step.s) filter (step.kind = 'llm') as turn_s,
         bool_or(coalesce(call.effect = 'write' and not call.failed
           or regexp_matches(call.tool, '(?i)notif|send|emit|log|post|publish|alert|audit|record'), false)) as writes
  from asked left join step on step.t = asked.t and step.agent = asked.agent
    and step.start_ns between asked.start_ns and asked.end_ns
  left join frame_call call on call.s = step.s
  group by asked.s)
select asked.*, did.* exclude (s), coalesce(own.output, turn.output) as answer
from asked join did using (s) left join frame_text own on own.s = asked.s left join frame_text turn on turn.s = did.turn_s
"""
_NOT_ENDED: Final = """
select 'ended' as how, t, service, asker, agent as delegate, 'agent' as kind, null as own_tool, s, asker_s as other_s
from team_delegate
where not writes and coalesce(not failed, true) and not beside
  and (steps = 0 and answer is null
       or steps > 0 and (last_kind <> 'llm' or finish in ('tool_calls', 'tool_use', 'tool-calls')) and s not in (
         select s from frame_text where kind = 'agent' and output is not null))
order by t, s
"""
_NOT_AWAITED: Final = """
select 'heard' as how, worker.t, worker.service, worker.asker, worker.agent as delegate, 'agent' as kind, null as own_tool,
       worker.s, last.s as other_s
from team_delegate worker join (
  select t, agent, max(s) as s, arg_max(start_ns, s) as start_ns, arg_max(end_ns, s) as end_ns from frame_turn group by t, agent) last
  on last.t = worker.t and last.agent = worker.asker
where not writes and last.start_ns >= worker.start_ns and last.end_ns < worker.end_ns and steps > 0
  and worker.s not in (select top.s from frame_span low join frame_span top on low.p = top.s where low.s = last.s)
order by worker.t, worker.s
"""

# An agent that a call names begins after it beside the caller, and outlives what encloses them both. Clocks
# and late closing of spans are allowed for.
_OUTLIVES: Final = """
with named as (
  select t, s, handoff_target as name from frame_span where handoff_target is not null
  union
  select t, s, value from frame_argument)
select distinct on (worker.s) 'heard' as how, worker.t, worker.service, call.agent as asker, worker.agent as delegate, 'agent' as kind,
       null as own_tool, worker.s, call.s as other_s
from team_delegate worker join frame_span top on worker.asker_s = top.s
join frame_call call on call.t = worker.t and call.agent <> worker.agent and call.start_ns <= worker.start_ns and call.end_ns < top.end_ns
join named on named.t = call.t and named.s = call.s and halo_agent_key(named.name) = halo_agent_key(worker.agent)
where worker.beside and not writes and steps > 0 and not call.failed and top.end_ns + $skew < worker.end_ns
order by worker.s, call.s desc
"""


class _Orphan(NamedTuple):
    how: str
    t: int
    service: str
    asker: str
    delegate: str
    kind: str
    own_tool: str | None
    s: int
    other_s: int | None


_NOTES: Final = {
    "begun": ("handed over to {delegate}, which never begins", "", "is never begun"),
    "collected": (
        "nobody asks what came of what {delegate} has taken on",
        "",
        "is never asked for again",
    ),
    "ended": (
        "{delegate} stops in the middle and gives no answer",
        "{asker} had asked for it",
        "never ends",
    ),
    "heard": (
        "nobody takes up what {delegate} finds",
        "{asker} goes on without it",
        "is done for nobody",
    ),
}


def orphan_delegation(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, asking agent, asked agent and way."""
    agents = {"agents": sorted(profile.team.agents)}
    ticket = {"delegating": teamwork.DELEGATING, "taken_on": teamwork.TAKEN_ON}
    found = [_Orphan(*row) for row in frame.con.execute(_NOT_BEGUN, agents).fetchall()]
    found += [_Orphan(*row) for row in frame.con.execute(_NOT_COLLECTED, ticket).fetchall()]
    if frame.con.execute(_DELEGATES).fetchone() != (0,):
        for query in (_NOT_ENDED, _NOT_AWAITED):
            found += [_Orphan(*row) for row in frame.con.execute(query).fetchall()]
        skew = {"skew": resources.SKEW_NS}
        found += [_Orphan(*row) for row in frame.con.execute(_OUTLIVES, skew).fetchall()]
    frame.con.execute("drop table team_delegate")
    first: dict[tuple[int, str, str], _Orphan] = {}
    for one in found:
        first.setdefault((one.t, one.asker, one.delegate), one)
    where = resources.places(frame, (s for one in first.values() for s in (one.s, one.other_s)))
    return [_hit(one, where, profile) for one in first.values()]


def _hit(one: _Orphan, where: dict[int, resources.Place], profile: Profile) -> Hit:
    names = {"delegate": one.delegate, "asker": one.asker}
    cause, contrast, _ = _NOTES[one.how]
    spots = [where[one.s].spot(Role.CAUSE, cause.format(**names))]
    if one.other_s is not None:
        spots.append(where[one.other_s].spot(Role.CONTRAST, contrast.format(**names)))
    begun = one.how in (
        "begun",
        "collected",
    )  # the asking agent's call, or its handoff, is all there is
    agent, operation = (
        (one.asker, "tool" if one.own_tool else one.kind) if begun else (one.delegate, "agent")
    )
    # What is done for nobody might have been waited for in every run of the asking agent, also in those
    # in which it asks nobody; so might be what is otherwise answered at once.
    by = teamwork.Delegation(one.service, one.asker, one.own_tool or "")
    exception = one.how == "heard" or (
        one.how == "collected" and profile.team.answered.get(by, 0) >= _ANSWERED_MIN
    )
    asked_for = Group(one.service, agent, operation, one.own_tool or "" if begun else "")
    return Hit(
        detector="orphan_delegation",
        category="orphan_delegation",
        subject=Subject(service=one.service, agent=agent),
        exposure=Group(one.service, one.asker, EVERYTHING) if exception else asked_for,
        scope=(one.how, one.delegate if begun else one.asker),
        trace=one.t,
        spots=tuple(spots),
        calls=frozenset({one.s}),
        grade=Grade.EXPLICIT if begun else Grade.INFERRED,
        slots={**names, "how": one.how},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    asker, delegate = wording.quoted(hit.slots["asker"]), wording.quoted(hit.slots["delegate"])
    return wording.Sentences(
        title=f"What agent {asker} gives to agent {delegate} {_NOTES[hit.slots['how']][2]}",
        summary=f"{wording.rate(assessment)}: {_NOTES[hit.slots['how']][0].format(delegate=delegate)}."
        f"{wording.harm(assessment)}",
        why="the delegated work has no completion that another agent uses",
        recommendation=f"Let {asker} keep a list of what it has given away, wait for {delegate} with a limit of time,"
        " and say in its answer what is still open; if nobody needs the result, do not ask for it.",
    )


ORPHAN_DELEGATION: Final = Detector(
    name="orphan_delegation",
    category="orphan_delegation",
    find=orphan_delegation,
    tell=_tell,
    prior=0.95,
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    habit=Habit.SHOWN,
)
