"""Handoff loops: agents pass the task round and round, and nothing comes of it.

detectors.md §2.3 #31. A trace is a sequence of stints, each the work of one agent until another one goes
on. Agents go round when the same two to four follow one another for at least three cycles. They get
nowhere when, from the second cycle on, no stint brings progress: an answer of a tool that was not there
before, a change, or words of substance. A supervisor that gets each worker's result, a writer and a critic
who send a text back and forth, and agents that work beside each other do not loop. What is not recorded
counts as progress.
"""

from itertools import combinations
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.teams import resources
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_PERIODS: Final = range(2, 5)
_CYCLES_MIN: Final = 3
_SUBSTANCE_CHARS: Final = (
    400  # "I cannot help with that, passing you on" is shorter, a draft is longer
)

# A stint that only passes on says so by a call, a span or in words; whatever short words it finds each
# time are no progress. Of one that does not say so any new word is.
_STINTS: Final = r"""
create or replace temp table team_stint as
with act as (
  select span.t, span.s, span.agent, span.service, span.kind, span.hands_off, span.tokens, span.cost,
         span.start_ns, span.end_ns
  from frame_span span
  where t in (select t from frame_span where kind in ('llm', 'tool', 'agent') group by t
              having count(distinct agent) > 1 and count(*) >= $cycles * 2)
    and (kind in ('llm', 'tool', 'retriever', 'agent') or hands_off)),
placed as (
  select *, sum(turned::integer) over (partition by t order by s) as stint
  from (select *, coalesce(agent <> lag(agent) over (partition by t order by s), true) as turned from act)),
long as (
  select t from (select t, agent from placed where turned group by t, agent having count(*) >= $cycles)
  group by t having count(*) > 1),
call as (
  select s, handoff, coalesce(handoff, false) as passes,
         not handoff and not failed and (obs is null or sig is null or effect = 'write'
           or row_number() over (partition by t, sig, obs order by s) = 1) as is_new
  from frame_call where t in (select t from long)),
word as (
  select s, length(output) as chars,
         row_number() over (partition by t, hash(lower(halo_untimed(output))) order by s) = 1 as is_new,
         regexp_matches(output, '(?i)\b(transfer|hand(ing|ed)?[ -](it |this |you )?(off|over|back)|rout(e|ing)|escalat'
           || '|pass(ing|ed)? (it|this|that|you|back)|delegat|forward(ing)?|back to|belongs to|not my)') as passes
  from frame_text where kind in ('llm', 'agent') and output is not null and t in (select t from long))
select placed.t, stint, any_value(agent) as agent, arg_min(service, placed.s) as service, min(placed.s) as s,
       coalesce(sum(tokens), 0) as tokens, coalesce(sum(cost), 0.0) as cost, max(end_ns) - min(start_ns) as ns,
       bool_or(coalesce(placed.hands_off or call.passes, false)) as hands_off,
       max(placed.s) filter (placed.hands_off or call.passes) as pass_s,
       bool_or(coalesce(placed.hands_off or call.passes, false) or coalesce(word.passes, false)) as passes,
       count(call.s) filter (not call.handoff) as calls, count(word.s) as words,
       bool_or(coalesce(call.is_new, false))
         or bool_or(coalesce(word.is_new and chars >= $substance, false)) as progress,
       bool_or(coalesce(word.is_new, false)) as new_words
from placed semi join long using (t) left join call using (s) left join word using (s)
group by placed.t, stint
"""
_ROUNDS: Final = """
with stuck as (
  select *, not progress and (passes or (not new_words and words + calls > 0) or (calls > 0 and words = 0)) as idle,
         row_number() over (partition by t order by stint) as place
  from team_stint),
matched as (
  select *, coalesce(agent = lag(agent, $p) over (partition by t order by place) and idle, false) as again from stuck),
islands as (
  select *, sum((not again)::integer) over (partition by t order by place) as island from matched)
select t, min(place)::integer - $p as first, max(place)::integer as last
from islands where again group by t, island having count(*) >= $p * ($cycles - 1) order by t, first
"""
_MEMBERS: Final = """
with run as (
  select unnest($t::integer[]) as t, unnest($first::integer[]) as first, unnest($last::integer[]) as last,
         unnest($run::integer[]) as run),
stint as (select *, row_number() over (partition by t order by stint) as place from team_stint)
select run, stint.t, service, agent, s, pass_s, tokens, cost, ns, hands_off
from run join stint on run.t = stint.t and place between first and last order by run, place
"""


class _Stint(NamedTuple):
    run: int
    t: int
    service: str
    agent: str
    s: int
    pass_s: int | None  # the span by which it passes the task on
    tokens: int
    cost: float
    ns: int
    hands_off: bool


def handoff_loop(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and round of agents."""
    frame.con.execute(_STINTS, {"cycles": _CYCLES_MIN, "substance": _SUBSTANCE_CHARS})
    rounds = _rounds(frame)
    stints: dict[int, list[_Stint]] = {run: [] for run in range(len(rounds))}
    if rounds:
        columns: dict[str, list[int]] = {
            "t": [t for t, *_ in rounds],
            "first": [first for _, first, _, _ in rounds],
            "last": [last for _, _, last, _ in rounds],
            "run": list(stints),
        }
        for row in frame.con.execute(_MEMBERS, columns).fetchall():
            stints[row[0]].append(_Stint(*row))
    frame.con.execute("drop table team_stint")
    pairs = {
        run: [(found[0].t, *pair) for pair in combinations(sorted({one.agent for one in found}), 2)]
        for run, found in stints.items()
    }
    beside = resources.beside(frame, (pair for found in pairs.values() for pair in found))
    kept = {run: found for run, found in stints.items() if not beside.intersection(pairs[run])}
    where = resources.places(
        frame, (s for found in kept.values() for one in found for s in (one.s, one.pass_s))
    )
    return [_hit(found, rounds[run][3], where) for run, found in kept.items()]


def _rounds(frame: Frame) -> list[tuple[int, int, int, int]]:
    """Trace, first and last place, period: the longest of those that overlap, the shorter period first."""
    found = [
        (t, first, last, period)
        for period in _PERIODS
        for t, first, last in frame.con.execute(
            _ROUNDS, {"p": period, "cycles": _CYCLES_MIN}
        ).fetchall()
    ]
    kept: list[tuple[int, int, int, int]] = []
    for one in sorted(found, key=lambda row: (row[0], row[1] - row[2], row[3], row[1])):
        if not any(
            other[0] == one[0] and one[1] <= other[2] and other[1] <= one[2] for other in kept[-8:]
        ):
            kept.append(one)
    return kept


def _hit(stints: list[_Stint], period: int, where: dict[int, resources.Place]) -> Hit:
    cycle = [one.agent for one in stints[:period]]
    start, again, last = stints[0], stints[period], stints[-1]
    extra = stints[period:]
    return Hit(
        detector="handoff_loop",
        category="handoff_loop",
        subject=Subject(service=start.service, agent=start.agent),
        exposure=Group(start.service, start.agent, EVERYTHING),
        scope=min(tuple(cycle[i:] + cycle[:i]) for i in range(period)),
        trace=start.t,
        spots=(
            where[again.s if again.pass_s is None else again.pass_s].spot(
                Role.CAUSE, f"{again.agent} has the task again, nothing was done"
            ),
            where[start.s].spot(Role.CONTRAST, f"{start.agent} had it for the first time"),
            where[last.s].spot(Role.SYMPTOM, f"last of {len(stints)} handoffs"),
        ),
        calls=frozenset(one.s for one in extra),
        grade=Grade.EXPLICIT if all(one.hands_off for one in extra[:-1]) else Grade.INFERRED,
        waste=Waste(
            calls=len(extra),
            tokens=sum(one.tokens for one in extra),
            cost=sum(one.cost for one in extra),
            ns=sum(one.ns for one in extra),
        ),
        strength=len(stints) // period,
        slots={"round": " → ".join(wording.quoted(name) for name in [*cycle, cycle[0]])},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    ring = wording.plain(hit.slots["round"], 2 * wording.TEXT_CHARS_MAX)
    return wording.Sentences(
        title=f"Agents hand the task round and round: {ring}",
        summary=f"{wording.rate(assessment)}: up to {wording.most(assessment)} rounds in which no tool brings anything new and"
        f" nothing is changed.{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the first agent that had the task again although nothing had been done",
        recommendation=f"Say in the instructions of {ring} who owns which kind of task, hand over why the one before could"
        " not do it, and refuse a handoff back to who has just passed the task on: ask the user or stop instead.",
    )


HANDOFF_LOOP: Final = Detector(
    name="handoff_loop",
    category="handoff_loop",
    find=handoff_loop,
    tell=_tell,
    prior=0.96,
    nature=Nature.RISK,
)
