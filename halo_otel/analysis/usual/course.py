"""The usual course of runs, learned: mergeable counts of traces.

    feeds   in how many traces a tool that works was called with an id that another one had returned
    falls   in how many traces a step failed after another had failed, and in how many it only ran
    steps   which steps the runs of a task take, which step comes next, by how the run ended
    before  in how many of these runs one step comes anywhere before another

A step is a tool of an agent, `ANSWER` the model turn that ends a run. A task is what the root's agent
of a service does. Counts are added, in any order.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_otel.analysis.causality.outcome import Votes
from halo_otel.analysis.frame import Frame

ANSWER: Final = "(answer)"

_FEEDS: Final = """
select call.service, source.tool, call.tool, count(distinct call.t)
from frame_argument argument join frame_call call using (s) join frame_call source on argument.src = source.s
where not call.failed and source.tool <> call.tool
group by all
"""
_WORKS: Final = (
    "select service, tool, count(distinct t) from frame_call where not failed group by all"
)

# The first failure that its tool does not make good before the other step begins.
_FALLS: Final = """
with unit as (
  select t, service, agent, tool, min(start_ns) as first_ns, max(start_ns) as last_ns,
         min(end_ns) filter (failed) as failed_ns, max(start_ns) filter (not failed) as worked_ns
  from frame_call group by all),
lost as (select * from unit where failed_ns is not null and coalesce(worked_ns < failed_ns, true))
select unit.service, lost.agent, lost.tool, unit.agent, unit.tool, count(*),
       count(*) filter (unit.failed_ns is not null)
from lost join unit using (t, service)
where (unit.agent, unit.tool) <> (lost.agent, lost.tool) and unit.first_ns >= lost.failed_ns
group by all
"""
_UNITS: Final = """
select service, agent, tool, count(*), count(*) filter (failed)
from (select service, agent, tool, t, bool_or(failed) as failed from frame_call group by all) group by all
"""

# Steps in the order in which each is first taken. The answer is a step if nothing is called after it.
STEPS: Final = """
with task as (select t, arg_min(service, (p is not null, s)) as service,
                     arg_min(agent, (p is not null, s)) as agent from frame_span group by t),
called as (select t, agent, tool, min(s) as s from frame_call group by all),
ended as (
  select t, max(s) filter (not failed) as s, max(end_ns) filter (not failed) as end_ns from frame_turn group by t),
step as (
  select t, agent, tool, s from called
  union all
  select ended.t, '' as agent, $answer as tool, ended.s from ended
  where ended.end_ns >= (select coalesce(max(end_ns), 0) from frame_call where frame_call.t = ended.t)),
placed as (
  select step.*, lead(step.agent) over following as next_agent, lead(step.tool) over following as next_tool
  from step window following as (partition by t order by s))
"""
_STEPS: Final = (
    STEPS
    + """
select task.service, task.agent, vote.votes, placed.agent, placed.tool, coalesce(next_agent, ''),
       coalesce(next_tool, ''), count(*)
from placed join task using (t) join frame_vote vote using (t) group by all
"""
)
# Pairs grow with the square of the different steps; a run with more has no usual course.
_STEPS_MAX: Final = 64
_BEFORE: Final = (
    STEPS  # noqa: S608 our query
    + """
select task.service, task.agent, vote.votes, earlier.agent, earlier.tool, placed.agent, placed.tool, count(*)
from placed join placed earlier on earlier.t = placed.t and earlier.s < placed.s
join task on task.t = placed.t join frame_vote vote on vote.t = placed.t
where placed.tool <> $answer
  and placed.t in (select t from placed group by t having count(*) <= $steps_max) group by all
"""
)
_RUNS: Final = """
select service, agent, votes, count(*) from (
  select t, arg_min(service, (p is not null, s)) as service, arg_min(agent, (p is not null, s)) as agent
  from frame_span group by t) join frame_vote using (t) group by all
"""


class Step(NamedTuple):
    """A tool of an agent, or `ANSWER` of nobody in particular."""

    agent: str
    tool: str


class Task(NamedTuple):
    """What the root of a trace does."""

    service: str
    agent: str


class Fall(NamedTuple):
    """`later` of a service, seen after `first` had failed and was not made good."""

    service: str
    first: Step
    later: Step


class Seen(NamedTuple):
    """Traces, and those of them in which it failed."""

    traces: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Counts of traces; those of runs, steps and what follows are by the votes on the runs' outcome."""

    feeds: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # service, source, tool
    works: Mapping[tuple[str, str], int] = field(default_factory=dict)  # service, tool
    falls: Mapping[Fall, Seen] = field(default_factory=dict)
    units: Mapping[tuple[str, Step], Seen] = field(default_factory=dict)
    runs: Mapping[tuple[Task, Votes], int] = field(default_factory=dict)
    steps: Mapping[tuple[Task, Votes, Step], int] = field(default_factory=dict)
    follows: Mapping[tuple[Task, Votes, Step, Step], int] = field(default_factory=dict)
    before: Mapping[tuple[Task, Votes, Step, Step], int] = field(
        default_factory=dict
    )  # at any distance


def learn(frame: Frame) -> Course:
    """The course of the frame's traces."""
    con = frame.con
    runs: Counter[tuple[Task, Votes]] = Counter()
    for service, agent, votes, n in con.execute(_RUNS).fetchall():
        runs[Task(service, agent), tuple(votes)] += n
    steps: Counter[tuple[Task, Votes, Step]] = Counter()
    follows: Counter[tuple[Task, Votes, Step, Step]] = Counter()
    rows = con.execute(_STEPS, {"answer": ANSWER}).fetchall()
    for service, agent, votes, own, tool, next_own, next_tool, n in rows:
        task, cast, step = Task(service, agent), tuple(votes), Step(own, tool)
        steps[task, cast, step] += n
        if next_tool:
            follows[task, cast, step, Step(next_own, next_tool)] += n
    before: Counter[tuple[Task, Votes, Step, Step]] = Counter()
    for row in con.execute(_BEFORE, {"answer": ANSWER, "steps_max": _STEPS_MAX}).fetchall():
        service, agent, votes, own, tool, later_own, later_tool, n = row
        before[
            Task(service, agent), tuple(votes), Step(own, tool), Step(later_own, later_tool)
        ] += n
    return Course(
        feeds={(r[0], r[1], r[2]): r[3] for r in con.execute(_FEEDS).fetchall()},
        works={(r[0], r[1]): r[2] for r in con.execute(_WORKS).fetchall()},
        falls={
            Fall(r[0], Step(r[1], r[2]), Step(r[3], r[4])): Seen(r[5], r[6])
            for r in con.execute(_FALLS).fetchall()
        },
        units={(r[0], Step(r[1], r[2])): Seen(r[3], r[4]) for r in con.execute(_UNITS).fetchall()},
        runs=runs,
        steps=steps,
        follows=follows,
        before=before,
    )


def merge(courses: Iterable[Course]) -> Course:
    """The course of all traces together."""
    feeds: Counter[tuple[str, str, str]] = Counter()
    works: Counter[tuple[str, str]] = Counter()
    falls: dict[Fall, Seen] = defaultdict(lambda: Seen(0, 0))
    units: dict[tuple[str, Step], Seen] = defaultdict(lambda: Seen(0, 0))
    runs: Counter[tuple[Task, Votes]] = Counter()
    steps: Counter[tuple[Task, Votes, Step]] = Counter()
    follows: Counter[tuple[Task, Votes, Step, Step]] = Counter()
    before: Counter[tuple[Task, Votes, Step, Step]] = Counter()
    for course in courses:
        feeds.update(course.feeds)
        works.update(course.works)
        runs.update(course.runs)
        steps.update(course.steps)
        follows.update(course.follows)
        before.update(course.before)
        for fall, seen in course.falls.items():
            falls[fall] = _sum(falls[fall], seen)
        for unit, seen in course.units.items():
            units[unit] = _sum(units[unit], seen)
    return Course(
        feeds=feeds,
        works=works,
        falls=dict(falls),
        units=dict(units),
        runs=runs,
        steps=steps,
        follows=follows,
        before=before,
    )


def _sum(one: Seen, other: Seen) -> Seen:
    return Seen(one.traces + other.traces, one.failed + other.failed)
