"""Latency: a group of comparable operations has a second, slow mode (`analysis.modes`).

It matters to a person when its median is at least twice the fast one and 100 ms more.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.histogram import Histogram
from halo_otel.analysis.usual.modes import Modes, modes
from halo_otel.analysis.usual.profile import Profile
from halo_otel.clock import NS_PER_MS
from halo_otel.model.finding import Role, Subject

_RATIO_MIN: Final = 2.0
_EXCESS_NS_MIN: Final = 100 * NS_PER_MS
_SPANS_SHOWN: Final = 2

_SLOW: Final = """
with threshold as (
  select unnest($service::varchar[]) as service, unnest($agent::varchar[]) as agent,
         unnest($operation::varchar[]) as operation, unnest($target::varchar[]) as target,
         unnest($above_ns::double[]) as above_ns, unnest($place::integer[]) as place),
operation as (
  select t, s, service, agent, 'tool' as operation, tool as target, end_ns - start_ns as ns
  from frame_call where not delegates
  union all
  select t, s, service, agent, 'llm' as operation, coalesce(model, '') as target,
         end_ns - start_ns as ns
  from frame_turn)
select place, operation.t, operation.s, operation.ns, span.span_id, span.end_ns, span.resource_id
from operation join threshold using (service, agent, operation, target)
join frame_span span on operation.s = span.s
where operation.ns > above_ns
order by place, operation.t, operation.ns desc, operation.s
"""


class _Slow(NamedTuple):
    place: int
    t: int
    s: int
    ns: int
    span_id: str
    end_ns: int
    resource_id: int


def latency(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and group with a span in the group's slow mode."""
    slow = [
        (group, mode)
        for group, histogram in sorted(profile.durations.items())
        if (mode := slow_mode(histogram)) is not None
    ]
    if not slow:
        return []
    rows = frame.con.execute(
        _SLOW,
        {
            "service": [group.service for group, _ in slow],
            "agent": [group.agent for group, _ in slow],
            "operation": [group.operation for group, _ in slow],
            "target": [group.target for group, _ in slow],
            "above_ns": [mode.above for _, mode in slow],
            "place": list(range(len(slow))),
        },
    ).fetchall()
    return [
        _hit(slow[place][0], slow[place][1], list(spans))
        for (place, _), spans in groupby(map(_Slow._make, rows), key=lambda row: row[:2])
    ]


def slow_mode(histogram: Histogram) -> Modes | None:
    """The modes of a duration histogram if the slow one matters, else None."""
    found = modes(histogram)
    if found is None or found.upper < _RATIO_MIN * found.lower:
        return None
    return found if found.upper - found.lower >= _EXCESS_NS_MIN else None


def _hit(group: Group, mode: Modes, spans: list[_Slow]) -> Hit:
    of_tool = group.operation == "tool"
    return Hit(
        detector="latency",
        category="latency",
        subject=Subject(
            service=group.service,
            agent=group.agent,
            tool=group.target if of_tool else None,
            model=None if of_tool else group.target or None,
        ),
        exposure=group,
        scope=(group.operation,),
        trace=spans[0].t,
        spots=tuple(
            spot(span, Role.CAUSE, f"took {span.ns / 1e9:.3g} s; {mode.lower / 1e9:.3g} s is usual")
            for span in spans[:_SPANS_SHOWN]
        ),
        calls=frozenset(span.s for span in spans),
        grade=Grade.INFERRED,
        waste=Waste(calls=len(spans), ns=sum(span.ns - round(mode.lower) for span in spans)),
        strength=len(spans),
        slots={
            "operation": group.operation,
            "usual_s": f"{mode.lower / 1e9:.3g}",
            "slow_s": f"{mode.upper / 1e9:.3g}",
        },
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    what = (
        f"tool {wording.quoted(hit.subject.tool)}"
        if hit.subject.tool
        else f"model {wording.quoted(hit.subject.model)}"
    )
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)}: {what} has a slow mode",
        summary=f"{wording.rate(assessment)}: {what} takes about {hit.slots['slow_s']} s instead of the usual "
        f"{hit.slots['usual_s']} s; the slow calls form a group of their own, not a tail."
        f"{wording.waste(assessment)}",
        why="among the slowest calls of the slow group",
        recommendation=f"Compare the slow and the usual calls of {what} (host, arguments, time of day): "
        "two separate speeds point to two separate paths, such as a cold cache, a timeout or a bad node.",
    )


LATENCY: Final = Detector(
    name="latency",
    category="latency",
    find=latency,
    tell=_tell,
    prior=0.96,
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    habit=Habit.SHOWN,
)
