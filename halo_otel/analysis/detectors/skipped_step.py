"""Skipped steps: what nearly every good run of a task does and the failed ones leave out.

detectors.md §1.8, MAST 3.2 (no verification). A run skips a step when it goes on with what comes after that
step in good runs without having taken it; a run that broke off before it skipped nothing, so only runs that
reach the call after it are compared. Whether leaving it
out goes with failing is Fisher's exact test, corrected over all steps of the task by Bonferroni: its number
of steps is small, counts can be merged over shards and runs, and nothing has to be drawn by lot.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from halo_otel.analysis.causality import outcome
from halo_otel.analysis.causality.causes import fisher
from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import ANY_AGENT, EVERYTHING, Grade, Group, Hit, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.course import ANSWER, STEPS, Course, Step, Task
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

RISK_LOW_MIN: Final = 1.2  # lower bound of the risk ratio (detectors.md §1.2)
# Some runs that failed pass for good ones where little tells, so not every good run need take the step.
_USUAL_SHARE: Final = 0.85
_GOOD_RUNS_MIN: Final = 20
_GOOD_GOING_ON_MIN: Final = 10  # of them reach the call after the step
_P_MAX: Final = 0.01
_NEXT_SHARE: Final = 0.5  # of good runs that go on from the step in the same way

# Runs that take `next` without having taken the step before.
_SKIPPING: Final = (
    STEPS  # noqa: S608 our tables
    + """
select placed.t, span.s, span.span_id, span.end_ns, span.resource_id, turn.span_id, turn.end_ns,
       turn.resource_id, span.failed
from placed join task using (t) join frame_span span on placed.s = span.s
left join frame_call call on call.s = span.s left join frame_span turn on call.turn_s = turn.s
where task.service = $service and task.agent = $task_agent
  and placed.agent = $next_agent and placed.tool = $next_tool
  and not exists (select 1 from placed earlier where earlier.t = placed.t and earlier.s <= placed.s
                    and earlier.agent = $agent and earlier.tool = $tool)
order by placed.t
"""
)


class _Skippable(NamedTuple):
    task: Task
    step: Step
    then: Step
    share: float  # of good runs that take it


class _Going(NamedTuple):
    """How a run went on without the step."""

    t: int
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None
    failed: bool  # what it went on with


def skipped_step(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace that goes on without a step, of the steps whose lack goes with failing."""
    hits: list[Hit] = []
    for one in _skippable(profile.usual):
        rows = frame.con.execute(
            _SKIPPING,
            {
                "answer": ANSWER,
                "service": one.task.service,
                "task_agent": one.task.agent,
                "agent": one.step.agent,
                "tool": one.step.tool,
                "next_agent": one.then.agent,
                "next_tool": one.then.tool,
            },
        ).fetchall()
        hits += [_hit(one, _Going._make(row)) for row in rows]
    return hits


class _Runs(NamedTuple):
    """The runs of one task that ended well, as far as is known, and those that ended badly."""

    good: int
    bad: int
    taken: Counter[Step]  # by good runs
    taken_bad: Counter[Step]
    follows: Counter[tuple[Step, Step]]  # in good runs
    before: Counter[tuple[Step, Step]]
    before_bad: Counter[tuple[Step, Step]]


def _skippable(course: Course) -> Iterator[_Skippable]:
    for task, runs in sorted(_by_task(course).items()):
        if runs.good < _GOOD_RUNS_MIN or not runs.bad:
            continue
        usual = [
            (step, then)
            for step in sorted(runs.taken)
            if step.tool != ANSWER and (then := _next(runs, step)) is not None
        ]
        for step, then in usual:
            good, bad = runs.taken[then], runs.taken_bad[then]
            taken = runs.before[step, then]
            lacking_bad = bad - runs.before_bad[step, then]
            if good < _GOOD_GOING_ON_MIN or taken < _USUAL_SHARE * good or not lacking_bad:
                continue
            p = fisher(lacking_bad, lacking_bad + good - taken, bad, good + bad)
            if p * len(usual) <= _P_MAX:
                yield _Skippable(task, step, then, taken / good)


def _by_task(course: Course) -> dict[Task, _Runs]:
    recorded: Counter[Task] = Counter()
    for (task, votes), n in course.runs.items():
        recorded[task] += n * (outcome.of(votes).failed is True)

    def failed(task: Task, votes: outcome.Votes) -> bool | None:
        known = outcome.of(outcome.in_company(votes, recorded[task])).failed
        return outcome.seems_failed(known, votes)

    ended: Counter[tuple[Task, bool | None]] = Counter()
    for (task, votes), n in course.runs.items():
        ended[task, failed(task, votes)] += n
    runs = {
        task: _Runs(
            ended[task, False],
            ended[task, True],
            Counter(),
            Counter(),
            Counter(),
            Counter(),
            Counter(),
        )
        for task in recorded
    }
    for (task, votes, step), n in course.steps.items():
        bad = failed(task, votes)
        if bad is not None:
            (runs[task].taken_bad if bad else runs[task].taken)[step] += n
    for (task, votes, step, later), n in course.follows.items():
        if failed(task, votes) is False:
            runs[task].follows[step, later] += n
    for (task, votes, step, later), n in course.before.items():
        bad = failed(task, votes)
        if bad is not None:
            (runs[task].before_bad if bad else runs[task].before)[step, later] += n
    return runs


def _next(runs: _Runs, step: Step) -> Step | None:
    """What most good runs call after the step; None if they do many things, or answer."""
    after = {later: n for (one, later), n in runs.follows.items() if one == step}
    if not after:
        return None
    best = min(after, key=lambda later: (-after[later], later))
    most = best.tool != ANSWER and after[best] >= _NEXT_SHARE * runs.taken[step]
    return best if most else None


def _hit(one: _Skippable, going: _Going) -> Hit:
    then = wording.quoted(one.then.tool)
    step = wording.quoted(one.step.tool)
    note = f"{then} comes without {step} before it"
    spots = [spot_at(going.span_id, going.end_ns, going.resource_id, Role.CAUSE, note)]
    if going.turn_span_id is not None:
        spots.append(
            spot_at(
                going.turn_span_id,
                going.turn_end_ns or 0,
                going.turn_resource or 0,
                Role.SYMPTOM,
                f"the model turn that decided to go on without {step}",
            )
        )
    return Hit(
        detector="skipped_step",
        category="skipped_step",
        subject=Subject(service=one.task.service, agent=one.step.agent, tool=one.step.tool),
        exposure=Group(one.task.service, ANY_AGENT, EVERYTHING),
        trace=going.t,
        spots=tuple(spots),
        calls=frozenset({going.s}),
        grade=Grade.EXPLICIT,
        evident=going.failed,
        slots={"then": then, "share": f"{one.share:.0%}"},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    step, then, share = wording.quoted(hit.subject.tool), hit.slots["then"], hit.slots["share"]
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)}: runs that leave out {step} fail",
        summary=f"{wording.rate(assessment)}. {share} of the good runs call {step} before {then}; these go on"
        f" without it.{wording.harm(assessment)}",
        why=f"here the run goes on without {step}, which good runs call before",
        recommendation=f"Demand {step} before {then}, best in code: let {then} fail with a message that names"
        f" {step} while it has not been called.",
    )


SKIPPED_STEP: Final = Detector(
    name="skipped_step",
    category="skipped_step",
    find=skipped_step,
    tell=_tell,
    prior=0.92,
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    risk_low_min=RISK_LOW_MIN,
)
