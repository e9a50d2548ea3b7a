"""Loops and retry storms: the same calls with the same answers, again and again.

detectors.md §1.3: per (trace, agent) a call repeats the call `p` places before when the signature is
the same; islands of such repeats are runs (gaps and islands). A run is a loop when it holds at least
three cycles, at least 66 % of the answers are the same, and the last answer is: polling whose answer
changes in the end was a wait that worked. Runs of failed calls are retry storms from the fourth
attempt on: three attempts are what client libraries do by default (AWS SDK "standard" mode 3,
OpenAI SDK 1 + 2), and a storm that finally succeeds must be twice as long to count.
"""

from itertools import pairwise
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Spot, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_PERIODS: Final = (1, 2, 3, 4, 5, 6)  # OpenHands' stuck detector looks 6 steps back
_CYCLES_MIN: Final = 3
_ATTEMPTS_MIN: Final = 4
_RECOVERED_ATTEMPTS_MIN: Final = 8
_BACKOFF_GROWTH: Final = 1.5  # last gap over first gap; the mildest backoff in use grows by 1.5

# NULL signatures compare to NULL and so are never a match. Failed attempts of one call are the same
# answer whatever the error text says. A cycle of one and the same call has period 1.
_RUNS: Final = """
with matched as (
  select p, t, agent, place, failed,
         coalesce(sig = lag(sig, p) over w and failed = lag(failed, p) over w, false) as repeats,
         coalesce(failed and lag(failed, p) over w or obs = lag(obs, p) over w, false) as same,
         coalesce(sig = lag(sig) over w, false) as still
  from frame_repeated, (select unnest($periods::integer[]) as p)
  window w as (partition by p, t, agent order by place)),
islands as (
  select *, sum((not repeats)::integer) over (partition by p, t, agent order by place) as island
  from matched)
select t, agent, p as period, min(place)::integer - p - 1 as first, max(place)::integer as last
from islands where repeats
group by p, t, agent, island
having count(*) >= p * ($cycles - 1) and avg(same::integer) >= 0.66 and arg_max(same, place)
   and (p = 1 or not bool_and(still)) and bool_and(failed) = $failed
order by t, agent, first - last, period, first
"""
_CALLS: Final = """
with run as (
  select unnest($t::integer[]) as t, unnest($agent::varchar[]) as agent,
         unnest($first::integer[]) as first, unnest($last::integer[]) as last,
         unnest($run::integer[]) as run),
success as (
  select t, agent, sig, max(place) as place from frame_repeated where not failed group by all)
select run.run, call.s, span.span_id, call.service, call.tool, call.start_ns, call.end_ns,
       call.tokens, call.cost, call.work_ns, span.resource_id, turn.span_id as turn_span_id,
       turn.end_ns as turn_end_ns, turn.resource_id as turn_resource,
       coalesce(success.place > run.last, false) as succeeded
from run join frame_repeated repeated on run.t = repeated.t and run.agent = repeated.agent
  and repeated.place > run.first and repeated.place <= run.last
join frame_call call on repeated.s = call.s
join frame_span span on repeated.s = span.s
left join frame_span turn on call.turn_s = turn.s
left join success on repeated.t = success.t and repeated.agent = success.agent
  and repeated.sig = success.sig
order by run.run, repeated.place
"""


class _Run(NamedTuple):
    t: int
    agent: str
    period: int
    first: int  # place before the first call
    last: int


class _Call(NamedTuple):
    run: int
    s: int
    span_id: str
    service: str
    tool: str
    start_ns: int
    end_ns: int
    tokens: int
    cost: float
    work_ns: int
    resource_id: int
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None
    succeeded: bool


def loop(frame: Frame, profile: Profile) -> list[Hit]:
    """Runs of at least three cycles of calls that are not all failed."""
    found = _runs(frame, failed=False)
    return [_loop_hit(run, calls) for run, calls in found]


def retry_storm(frame: Frame, profile: Profile) -> list[Hit]:
    """Runs of at least four failed attempts of the same calls."""
    hits = []
    for run, calls in _runs(frame, failed=True):
        recovered = calls[-1].succeeded
        if len(calls) >= (_RECOVERED_ATTEMPTS_MIN if recovered else _ATTEMPTS_MIN):
            hits.append(_storm_hit(run, calls, recovered=recovered))
    return hits


def _runs(frame: Frame, *, failed: bool) -> list[tuple[_Run, list[_Call]]]:
    """Runs that do not overlap, longest first and the shorter period first, with their calls."""
    asked = {"periods": _PERIODS, "cycles": _CYCLES_MIN, "failed": failed}
    kept: list[_Run] = []
    for run in map(_Run._make, frame.con.execute(_RUNS, asked).fetchall()):
        rivals = [r for r in kept[-8:] if (r.t, r.agent) == (run.t, run.agent)]
        if all(run.last <= rival.first or run.first >= rival.last for rival in rivals):
            kept.append(run)
    if not kept:
        return []
    calls: list[list[_Call]] = [[] for _ in kept]
    columns = {
        "t": [run.t for run in kept],
        "agent": [run.agent for run in kept],
        "first": [run.first for run in kept],
        "last": [run.last for run in kept],
        "run": list(range(len(kept))),
    }
    for call in map(_Call._make, frame.con.execute(_CALLS, columns).fetchall()):
        calls[call.run].append(call)
    return list(zip(kept, calls, strict=True))


def _loop_hit(run: _Run, calls: list[_Call]) -> Hit:
    tools = _cycle(run, calls)
    cycles = len(calls) // run.period
    return Hit(
        detector="loop",
        category="loop",
        subject=Subject(service=calls[0].service, agent=run.agent, tool=tools[0]),
        exposure=Group(calls[0].service, run.agent, "tool", tools[0]),
        scope=tools,
        trace=run.t,
        spots=_spots(run, calls, f"{cycles} cycles with the same arguments and the same answers"),
        calls=frozenset(call.s for call in calls),
        grade=Grade.EXPLICIT,
        waste=_waste(calls[run.period :]),
        strength=cycles,
        slots={"tools": " → ".join(tools), "times": str(cycles)},
    )


def _storm_hit(run: _Run, calls: list[_Call], *, recovered: bool) -> Hit:
    tools = _cycle(run, calls)
    return Hit(
        detector="retry_storm",
        category="retry_storm",
        subject=Subject(service=calls[0].service, agent=run.agent, tool=tools[0]),
        exposure=Group(calls[0].service, run.agent, "tool", tools[0]),
        scope=tools,
        trace=run.t,
        spots=_spots(run, calls, f"{len(calls)} failed attempts of the same call"),
        calls=frozenset(call.s for call in calls),
        grade=Grade.EXPLICIT,
        waste=_waste(calls[run.period :]),
        strength=len(calls),
        recovered=recovered,
        slots={
            "tools": " → ".join(tools),
            "times": str(len(calls)),
            "backoff": "growing pauses" if _backs_off(calls) else "no backoff",
        },
    )


def _cycle(run: _Run, calls: list[_Call]) -> tuple[str, ...]:
    """The tools of one cycle, rotated so that where the run was entered does not change its name."""
    tools = [call.tool for call in calls[: run.period]]
    return tuple(min(tools[i:] + tools[:i] for i in range(len(tools))))


def _backs_off(calls: list[_Call]) -> bool:
    gaps = [after.start_ns - before.end_ns for before, after in pairwise(calls)]
    grows = sum(after > before for before, after in pairwise(gaps))
    return gaps[-1] >= _BACKOFF_GROWTH * max(1, gaps[0]) and 2 * grows >= len(gaps) - 1


def _spots(run: _Run, calls: list[_Call], note: str) -> tuple[Spot, ...]:
    """The first repeated call, the turn that asked for it, and the last call."""
    again, last = calls[run.period], calls[-1]
    spots = [spot(again, Role.CAUSE, f"first repeat; {note}")]
    if again.turn_span_id is not None:
        spots.append(
            spot_at(
                again.turn_span_id,
                again.turn_end_ns,
                again.turn_resource,
                Role.SYMPTOM,
                "the model turn that asked for the repeat",
            )
        )
    if last.s != again.s:
        spots.append(spot(last, Role.SYMPTOM, f"last of {len(calls)} calls"))
    return tuple(spots)


def _waste(extra: list[_Call]) -> Waste:
    return Waste(
        calls=len(extra),
        tokens=sum(call.tokens for call in extra),
        cost=sum(call.cost for call in extra),
        ns=sum(call.work_ns for call in extra),
    )


def _tell_loop(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    tools = wording.plain(hit.slots["tools"], wording.TEXT_CHARS_MAX)
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} repeats {_named(assessment)} "
        "with the same arguments and the same answers",
        summary=f"{wording.rate(assessment)}, up to {wording.most(assessment)} times in a row without any progress."
        f"{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the first call that repeats an earlier one and is answered the same",
        recommendation=f"Stop the agent when {tools} brings the same answer a third time: return a "
        "message that says so, or cap identical calls. Check why the answer does not satisfy it.",
    )


def _tell_storm(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    pauses = sorted({h.slots["backoff"] for hits in assessment.pattern.hits.values() for h in hits})
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} keeps retrying {_named(assessment)} although it fails",
        summary=f"{wording.rate(assessment)}: the failing call is made up to {wording.most(assessment)} times with "
        f"unchanged arguments ({' or '.join(pauses)}).{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the first retry of a call that had failed with the same arguments",
        recommendation="Cap the attempts at three with growing pauses, and hand the error to the agent "
        "with a hint what to change: the same arguments will fail again.",
    )


def _named(assessment: Assessment) -> str:
    tools = assessment.pattern.scope
    return wording.plain(
        " → ".join(wording.quoted(tool) for tool in tools), 2 * wording.TEXT_CHARS_MAX
    )


RETRY_STORM: Final = Detector(
    name="retry_storm",
    category="retry_storm",
    find=retry_storm,
    needs="frame_repeated",
    tell=_tell_storm,
    prior=0.97,
    nature=Nature.RISK,
    fails=True,
    needs_payload=True,
    claims_calls=True,
)
LOOP: Final = Detector(
    name="loop",
    category="loop",
    find=loop,
    needs="frame_repeated",
    tell=_tell_loop,
    prior=0.97,
    nature=Nature.RISK,
    # Repeats count wherever they stand: a heartbeat belongs to the work whether it falls into a row
    # or between other calls.
    habit=Habit.REPEATS,
    habit_repeats=2,
    needs_payload=True,
    claims_calls=True,
)
