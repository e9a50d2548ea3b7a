"""Latency: a group of comparable operations has a second, slow mode (`analysis.modes`).

It matters to a person when its median is at least twice the fast one and 100 ms more. What the slow calls
have in common (`causality.common`) is told. Where that is what they were asked for, or they write far
longer answers, they are another kind of work and no fault: that is told as advice.
"""

from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.causality.common import Common, Stream, common, streamed
from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.circumstances import ARGUMENT, INPUT_SIZE, SLOT_NS, TIME
from halo_otel.analysis.usual.histogram import Histogram
from halo_otel.analysis.usual.modes import Modes, modes
from halo_otel.analysis.usual.profile import Profile
from halo_otel.clock import NS_PER_MS, rfc3339
from halo_otel.model.finding import Role, Subject

_RATIO_MIN: Final = 2.0
_EXCESS_NS_MIN: Final = 100 * NS_PER_MS
_SPANS_SHOWN: Final = 2
_ALIKE_SHOWN: Final = 2
_KIND_MIN: Final = 0.8  # share of the calls asked for the same that are slow, from which it is why

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


class _Mode(NamedTuple):
    """A group's slow calls, and what is known of why."""

    group: Group
    modes: Modes
    shared: list[Common]
    stream: Stream | None

    @property
    def asked_for(self) -> bool:
        """Whether they are slow for what they were asked for."""
        if self.stream is not None and self.stream.part == "length":
            return True
        of_input = [one.name == INPUT_SIZE or one.name.startswith(ARGUMENT) for one in self.shared]
        first = self.shared[0] if self.shared else None
        return (
            first is not None
            and all(of_input)
            and first.slow >= _KIND_MIN * (first.slow + first.usual)
        )


def latency(frame: Frame, profile: Profile, *, asked_for: bool = False) -> list[Hit]:
    """One hit per trace and group with a span in the group's slow mode; `asked_for`: of those that are slow for
    what they were asked for, else of all others."""
    known = [
        _mode(group, found, profile)
        for group, histogram in sorted(profile.durations.items())
        if (found := slow_mode(histogram)) is not None
    ]
    slow = [mode for mode in known if mode.asked_for is asked_for]
    if not slow:
        return []
    rows = frame.con.execute(
        _SLOW,
        {
            "service": [mode.group.service for mode in slow],
            "agent": [mode.group.agent for mode in slow],
            "operation": [mode.group.operation for mode in slow],
            "target": [mode.group.target for mode in slow],
            "above_ns": [mode.modes.above for mode in slow],
            "place": list(range(len(slow))),
        },
    ).fetchall()
    return [
        _hit(slow[place], list(spans))
        for (place, _), spans in groupby(map(_Slow._make, rows), key=lambda row: row[:2])
    ]


def _mode(group: Group, found: Modes, profile: Profile) -> _Mode:
    circumstances = profile.circumstances.get(group)
    if circumstances is None:
        return _Mode(group, found, [], None)
    shared, stream = common(circumstances, found.above), streamed(circumstances, found.above)
    return _Mode(group, found, shared, stream)


def slow_mode(histogram: Histogram) -> Modes | None:
    """The modes of a duration histogram if the slow one matters, else None."""
    found = modes(histogram)
    if found is None or found.upper < _RATIO_MIN * found.lower:
        return None
    return found if found.upper - found.lower >= _EXCESS_NS_MIN else None


def _hit(slow: _Mode, spans: list[_Slow]) -> Hit:
    group, mode = slow.group, slow.modes
    of_tool = group.operation == "tool"
    told = _told(slow)
    return Hit(
        detector="slow_input" if slow.asked_for else "latency",
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
            "shared": told.fact,
            "cure": told.cure,
        },
    )


class _Told(NamedTuple):
    """What the slow calls share and what to do about it, as sentences after others; "" where nothing."""

    fact: str
    cure: str


def _told(slow: _Mode) -> _Told:
    facts, cures = [], []
    if slow.shared:
        first, others = slow.shared[0], slow.shared[1 : 1 + _ALIKE_SHOWN]
        all_ = (
            f"All {first.of_slow}"
            if first.slow == first.of_slow
            else f"{first.slow} of {first.of_slow}"
        )
        facts.append(
            f" {all_} slow calls that were compared {_has(first, slow.group)}, of {first.of_usual} usual ones"
            f" {first.usual or 'none'}."
        )
        if others:
            facts.append(f" They also {' and '.join(_has(one, slow.group) for one in others)}.")
        cures.append(_cure(first))
    if slow.stream is not None:
        fact, cure = _of_stream(slow.stream)
        facts.append(fact)
        cures.append(cure)
    return _Told("".join(facts), " ".join(cures))


def _has(one: Common, group: Group) -> str:
    """What the calls that share it do, as a verb with its object."""
    if one.name == INPUT_SIZE:
        unit = "tokens of input" if group.operation == "llm" else "characters of arguments"
        return f"have at least {int(one.value):,} {unit}"
    if one.name == "first":
        return (
            "are the first of their run"
            if one.value == "true"
            else "are not the first of their run"
        )
    if one.name == TIME:
        since, until = map(int, one.value.split())
        begin, end = (rfc3339(slot * SLOT_NS)[:16] for slot in (since, until + 1))
        return f"began between {begin}Z and {end}Z"
    if one.name == "hour":
        return f"began between {int(one.value):02}:00 and {(int(one.value) + 1) % 24:02}:00 UTC"
    if one.name.startswith(ARGUMENT):
        name = f"argument {wording.quoted(one.name.removeprefix(ARGUMENT))}"
        return f"have {name} set to {wording.quoted(one.value)}" if one.value else f"have {name}"
    return f"have {one.name} {wording.quoted(one.value)}"


def _cure(one: Common) -> str:
    if one.name == INPUT_SIZE:
        return "Send less: shorten what is passed on, page through it, or cache the part that stays the same."
    if one.name == "first":
        return "Make the first call warm: keep connections, sessions and caches from run to run."
    if one.name in (TIME, "hour"):
        return "Look at what else ran at that time: load, a deployment, a backup, the provider's status page."
    if one.name.startswith(ARGUMENT):
        return "Ask for less, do that work ahead of time or cache it; a limit of time keeps it from holding up the run."
    return f"Take {one.name} {wording.quoted(one.value)} out of rotation or repair it: the other calls are not slow."


def _of_stream(stream: Stream) -> tuple[str, str]:
    slow, usual = f"{stream.slow:,.3g}", f"{stream.usual:,.3g}"
    if stream.part == "wait":
        return (
            f" It is the wait for the first token: {slow} s instead of {usual} s.",
            "Look at what stands before the first token: the provider's queue and rate limits, retries in the"
            " client, a prompt that is no longer cached.",
        )
    if stream.part == "length":
        return (
            f" They write longer answers, {slow} tokens instead of {usual}, and not more slowly.",
            "Ask for shorter answers or limit their length.",
        )
    return (
        f" It is the writing, not the wait for the first token: {slow} tokens per second instead of {usual}.",
        "Ask the provider, or look at the load of the machines that serve the model.",
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
        f"{hit.slots['shared']}{wording.waste(assessment)}",
        why="among the slowest calls of the slow group",
        recommendation=hit.slots["cure"]
        or f"Compare the slow and the usual calls of {what} (host, arguments, time of day): "
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
SLOW_INPUT: Final = replace(
    LATENCY, name="slow_input", find=partial(latency, asked_for=True), nature=Nature.ADVICE
)
