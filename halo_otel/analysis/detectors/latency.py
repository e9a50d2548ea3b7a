"""Latency: a group of comparable operations has a second, slow mode.

A long tail is healthy: log-normal traffic with sigma 1.2 has spans 60 times its median. So no span is
called slow by its z-score alone (detectors.md §1.7); the group must be two populations. The
log-durations are cut where two normal populations explain them best (maximum classification
likelihood over all cuts), and the slow side is a mode of its own when

- the likelihood ratio against one population is decisive: 2·ΔlogL > 20 (the greatest value in 1,320
  simulated log-normal groups of 30 to 3,000 spans, sigma 0.3 and 1.2, was 9.3);
- the modes stand apart: Ashman's D > 3 (Ashman, Bird & Zepf 1994 call D > 2 a clean separation;
  the cut halves of one normal population reach 2.7);
- there is a valley between them: a tail, however heavy, only falls. Pareto traffic passes the two
  tests above and fails this one from 500 spans on; of Pareto groups of 30 to 100 spans about one in
  five still looks like two;
- it is the minority, its median is a robust z > 3.5 off the fast mode (Iglewicz & Hoaglin 1993) and
  matters to a person: at least twice the fast median and 100 ms more.

Groups of fewer than 30 spans are not judged. The spread of a mode is at least 5 %, so a group that
always takes the same time is not split over jitter.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import Final, NamedTuple

from halo_otel.analysis import wording
from halo_otel.analysis.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.hit import Grade, Group, Hit, Spot, Waste
from halo_otel.analysis.pattern import Assessment
from halo_otel.analysis.profile import BUCKET_WIDTH, Histogram, Profile, middle_ns
from halo_otel.clock import NS_PER_MS
from halo_otel.model.finding import Role, Subject
from halo_otel.model.span import SpanId

_SPANS_MIN: Final = 30
_SLOW_SPANS_MIN: Final = 3
_LIKELIHOOD_RATIO_MIN: Final = 20.0
_ASHMAN_D_MIN: Final = 3.0
_ROBUST_Z_MIN: Final = 3.5
_SPREAD_MIN: Final = 0.05
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
  from frame_call
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


class SlowMode(NamedTuple):
    """Where a group's slow mode begins, and the medians of both modes."""

    above_ns: float
    fast_ns: float
    slow_ns: float


class _Slow(NamedTuple):
    place: int
    t: int
    s: int
    ns: int
    span_id: str
    end_ns: int
    resource_id: int


class _Mode(NamedTuple):
    n: int
    mean: float
    spread: float
    cost: float  # -2 log likelihood, without the constants both models share


def latency(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and group with a span in the group's slow mode."""
    modes = [
        (group, mode)
        for group, histogram in sorted(profile.durations.items())
        if (mode := slow_mode(histogram)) is not None
    ]
    if not modes:
        return []
    rows = frame.con.execute(
        _SLOW,
        {
            "service": [group.service for group, _ in modes],
            "agent": [group.agent for group, _ in modes],
            "operation": [group.operation for group, _ in modes],
            "target": [group.target for group, _ in modes],
            "above_ns": [mode.above_ns for _, mode in modes],
            "place": list(range(len(modes))),
        },
    ).fetchall()
    return [
        _hit(modes[place][0], modes[place][1], list(spans))
        for (place, _), spans in groupby(map(_Slow._make, rows), key=lambda row: row[:2])
    ]


def slow_mode(histogram: Histogram) -> SlowMode | None:
    """The slow mode of a duration histogram, `None` for one population."""
    total = sum(histogram.values())
    if total < _SPANS_MIN:
        return None
    buckets = sorted(histogram)
    values = [(bucket + 0.5) * BUCKET_WIDTH for bucket in buckets]
    counts = [histogram[bucket] for bucket in buckets]
    cut = _best_cut(values, counts)
    if cut is None:
        return None
    place, fast, slow, ratio = cut
    apart = slow.mean - fast.mean
    fast_ns, slow_ns = (
        _median_ns(buckets[:place], counts[:place]),
        _median_ns(buckets[place:], counts[place:]),
    )
    separate = (
        ratio > _LIKELIHOOD_RATIO_MIN
        and apart / math.hypot(fast.spread, slow.spread) * math.sqrt(2) > _ASHMAN_D_MIN
        and apart > _ROBUST_Z_MIN * fast.spread
        and _valley(values, counts, fast.mean, slow)
    )
    matters = slow_ns >= _RATIO_MIN * fast_ns and slow_ns - fast_ns >= _EXCESS_NS_MIN
    if not (separate and matters):
        return None
    above = math.exp((buckets[place - 1] + buckets[place] + 1) / 2 * BUCKET_WIDTH)
    return SlowMode(above_ns=above, fast_ns=fast_ns, slow_ns=slow_ns)


def _best_cut(
    values: Sequence[float], counts: Sequence[int]
) -> tuple[int, _Mode, _Mode, float] | None:
    """The cut into two normal populations of greatest likelihood, the slow one the minority.

    Returns the first slow place, both modes and twice the log-likelihood ratio against no cut.
    """
    total = sum(counts)
    sums = sum(n * v for n, v in zip(counts, values, strict=True))
    squares = sum(n * v * v for n, v in zip(counts, values, strict=True))
    whole = _mode(total, total, sums, squares, 0.0)
    best: tuple[int, _Mode, _Mode, float] | None = None
    n = 0
    part_sum = part_square = 0.0
    for place, (value, count) in enumerate(zip(values, counts, strict=True), start=1):
        n, part_sum, part_square = (
            n + count,
            part_sum + count * value,
            part_square + count * value**2,
        )
        if total - n < _SLOW_SPANS_MIN:
            break
        if total - n >= n:
            continue
        fast = _mode(n, total, part_sum, part_square, 0.0)
        # A slow mode narrower than half the fast one would be rewarded for three like values.
        slow = _mode(total - n, total, sums - part_sum, squares - part_square, fast.spread / 2)
        ratio = whole.cost - fast.cost - slow.cost
        if best is None or ratio > best[3]:
            best = place, fast, slow, ratio
    return best


def _mode(n: int, total: int, sums: float, squares: float, spread_min: float) -> _Mode:
    mean = sums / n
    variance = max(0.0, squares / n - mean * mean)
    spread = max(math.sqrt(variance), _SPREAD_MIN, spread_min)
    cost = 2 * n * math.log(spread) + n * variance / spread**2 - 2 * n * math.log(n / total)
    return _Mode(n, mean, spread, cost)


def _valley(values: Sequence[float], counts: Sequence[int], fast_mean: float, slow: _Mode) -> bool:
    """Whether fewer spans lie somewhere between the modes than around the slow one, per width."""
    half = slow.spread / 2

    def near(centre: float) -> int:
        pairs = zip(values, counts, strict=True)
        return sum(n for value, n in pairs if centre - half <= value < centre + half)

    peak = max(near(slow.mean + shift * half) for shift in (-1, 0, 1))
    apart = slow.mean - fast_mean
    return min(near(fast_mean + share * apart) for share in (0.4, 0.5, 0.6, 0.7)) < peak


def _median_ns(buckets: Sequence[int], counts: Sequence[int]) -> float:
    before = accumulate(counts)
    middle = next(b for b, n in zip(buckets, before, strict=True) if 2 * n >= sum(counts))
    return middle_ns(middle)


def _hit(group: Group, mode: SlowMode, spans: list[_Slow]) -> Hit:
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
            Spot(
                span_id=SpanId(span.span_id),
                role=Role.CAUSE,
                note=f"took {span.ns / 1e9:.3g} s; {mode.fast_ns / 1e9:.3g} s is usual",
                time_ns=span.end_ns,
                resource_id=span.resource_id,
            )
            for span in spans[:_SPANS_SHOWN]
        ),
        calls=frozenset(span.s for span in spans),
        grade=Grade.INFERRED,
        waste=Waste(calls=len(spans), ns=sum(span.ns - round(mode.fast_ns) for span in spans)),
        strength=len(spans),
        slots={
            "operation": group.operation,
            "usual_s": f"{mode.fast_ns / 1e9:.3g}",
            "slow_s": f"{mode.slow_ns / 1e9:.3g}",
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
