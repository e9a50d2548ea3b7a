"""Runs that end at the maximum number of steps, without an answer.

detectors.md §2.3 #10. Two signs: a stop reason or error text that says so; or runs of an agent that end on a call
pile up at one number of turns. Nobody stops there by chance: at least five traces and at least three times as
many as at any of the three numbers before it, with almost none (5 %) beyond it. Long runs end with an answer; an agent
that always takes the same steps, or does so when it succeeds, is meant to end there. To blame is the last call before
the limit, what the run was at when it was stopped; that it was stopped is the symptom.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual import extent
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_TURNS_MIN: Final = 4  # a cap below is a design
_PILE_MIN: Final = 5
_PILE_TIMES: Final = 3
_BEYOND_MAX: Final = 0.05
_LENGTHS_MIN: Final = 3  # shorter than the cap; runs that all have one length follow a fixed course

# As frameworks word it: LangChain, LangGraph, OpenAI Agents SDK, CrewAI, AutoGen, smolagents, Vercel AI SDK.
_LIMIT: Final = (
    r"(?i)(max(imum)?[ _-]?(number of |allowed )*(step|turn|iteration|round|tool[ _]call)s? ?(limit )?((\(?\d+\)?) )?(of \d+ )?(was |were |has been |have been )?(exceeded|reached|hit)"
    r"|(exceed|reach|hit)(ed|s|ing)? (the |its |my )?max(imum)?[ _-]?(number of |allowed )*(step|turn|iteration|round|tool[ _]call)s?"
    r"|\b(step|turn|iteration|round|recursion)[ _-]limit( of \d+)? (was |has been )?(exceeded|reached|hit)"
    r"|(stopped|ended|terminated|halted) (after|at) (the |its )?max(imum)? (number )?of \d+ (step|turn|iteration|round|tool[ _]call)s?"
    r"|stopped due to (iteration|max)|Max(Turns|Steps|Iterations)(Exceeded|Reached)|GraphRecursionError|Recursion limit of \d+"
    r"|(ran|run) out of (steps|turns|iterations)|error_max_turns|max_(steps|turns|iterations)_(exceeded|reached))"
)
_STATED: Final = """
with stated as (
  select t, service, agent, s, span_id, end_ns, resource_id, left(error_text, 160) as text
  from frame_span where failed and kind <> 'tool' and regexp_matches(concat_ws(' ', error_type, left(error_text, 400)), $limit)
  union all
  select t, service, agent, s, span_id, end_ns, resource_id, finish_reason
  from frame_span where kind in ('llm', 'agent', 'chain')
    and regexp_matches(finish_reason, '(?i)^(error_)?max_?(steps|turns|iterations)(_exceeded|_reached)?$')
  union all
  select span.t, span.service, span.agent, span.s, span.span_id, span.end_ns, span.resource_id, left(text.output, 160)
  from frame_text text join frame_span span using (s)
  where span.kind in ('agent', 'chain', 'llm') and text.output_chars <= 300 and regexp_matches(text.output, $limit))
select stated.t, stated.service, stated.agent, stated.s, stated.span_id, stated.end_ns, stated.resource_id,
       coalesce(turn.turns, 0)::integer, stated.text, call.tool, last.span_id, last.end_ns, last.resource_id
from (from stated qualify row_number() over (partition by t order by s desc) = 1) stated
left join (select t, agent, count(*) as turns from frame_speech group by all) turn using (t, agent)
left join frame_call call on call.t = stated.t and call.start_ns <= stated.end_ns
left join frame_span last on last.s = call.s
qualify row_number() over (partition by stated.t order by coalesce(call.agent = stated.agent, false) desc, call.s desc) = 1
order by stated.t
"""
_UNANSWERED: Final = f"""
select ended.t, ended.service, ended.agent, span.s, span.span_id, span.end_ns, span.resource_id,
       least(ended.turns, $turns_max)::integer, '', null, null, null, null
from ({extent.UNANSWERED}) ended join frame_span span on ended.s = span.s
where ended.turns >= $turns_min
order by ended.t, ended.service, ended.agent, ended.turns desc, span.s
"""  # noqa: S608 our query


class _End(NamedTuple):
    t: int
    service: str
    agent: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    turns: int
    text: str
    tool: str | None  # of the last call before
    call_span_id: str | None
    call_end_ns: int | None
    call_resource: int | None


def step_limit(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace that says that it hit a limit, or else per agent that stops where runs pile up."""
    stated = list(map(_End._make, frame.con.execute(_STATED, {"limit": _LIMIT}).fetchall()))
    told = {end.t for end in stated}
    caps: dict[tuple[str, str], int | None] = {}
    piled: dict[tuple[int, str, str], _End] = {}
    parameters = {"turns_min": _TURNS_MIN, "turns_max": extent.TURNS_MAX}
    for end in map(_End._make, frame.con.execute(_UNANSWERED, parameters).fetchall()):
        key = (end.service, end.agent)
        if key not in caps:
            unanswered = profile.extents.get(extent.Measure("turns", *key), {})
            lengths = profile.extents.get(extent.Measure("length", *key), {})
            caps[key] = cap(unanswered) if len(lengths) > _LENGTHS_MIN else None
        if end.t not in told and end.turns == caps[key]:
            piled.setdefault((end.t, *key), end)
    return [_hit(end) for end in (*stated, *piled.values())]


def cap(turns: Mapping[int, int]) -> int | None:
    """Where unanswered runs pile up; `turns` -> traces."""
    for value in sorted(turns, key=lambda value: (-turns[value], value)):
        below = max((turns.get(value - back, 0) for back in (1, 2, 3)), default=0)
        beyond = sum(n for other, n in turns.items() if other > value)
        pile = turns[value]
        if pile < _PILE_MIN:
            return None
        if value >= _TURNS_MIN and pile >= _PILE_TIMES * below and beyond <= _BEYOND_MAX * pile:
            return value
    return None


def _hit(end: _End) -> Hit:
    stopped = end.text or f"turn {end.turns}, the last one, asks for one more call"
    spots = [spot(end, Role.CAUSE, stopped)]
    if end.call_span_id is not None:
        last = f"the last call before the limit: {wording.quoted(end.tool)}"
        cause = spot_at(end.call_span_id, end.call_end_ns, end.call_resource, Role.CAUSE, last)
        spots = [cause, spot(end, Role.SYMPTOM, stopped)]
    return Hit(
        detector="step_limit",
        category="step_limit",
        subject=Subject(service=end.service, agent=end.agent),
        exposure=Group(end.service, end.agent, EVERYTHING),
        trace=end.t,
        spots=tuple(spots),
        calls=frozenset({end.s}),
        grade=Grade.EXPLICIT if end.text else Grade.INFERRED,
        strength=1,
        slots={"turns": str(end.turns)},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hits = [hit for found in assessment.pattern.hits.values() for hit in found]
    counted = Counter(int(hit.slots["turns"]) for hit in hits)
    turns = max(counted, key=lambda value: (counted[value], value))
    at = f" after {turns} turns" if turns else ""
    return wording.Sentences(
        title=f"Runs of agent {wording.quoted(hits[0].subject.agent)} are stopped at their limit of steps",
        summary=f"{wording.rate(assessment)}: they end{at} without an answer.{wording.harm(assessment)}",
        why="the last step before the limit",
        recommendation="Look at what these runs do over and over before raising the limit; tell the agent how many steps are "
        "left, and have it answer with what it has when one is left.",
    )


STEP_LIMIT: Final = Detector(
    name="step_limit",
    category="step_limit",
    find=step_limit,
    tell=_tell,
    prior=0.96,
    nature=Nature.FAULT,
    habit=Habit.SHOWN,
    fails=True,
)
