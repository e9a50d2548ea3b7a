"""Prompts that grow with every turn, far beyond other runs of the agent, or until they overflow.

detectors.md §1.7, §2.3 #18. Overflow is what the model's error says. Growth is the Theil-Sen slope of prompt
tokens over turns (Sen 1968: the median of all pairwise slopes, so one big result is no growth) of at least three
times the agent's usual growth, with a peak of at least twice its usual peak without any compaction and not by one jump. The
usual is the median over traces: a fault in a fifth of the runs does not move it, their p99 would be the fault.
"""

from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual import extent
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_TURNS_MIN: Final = 5
_PEAK_MIN: Final = 8_000  # tokens; below, growth costs nothing worth a word
_RISE_MIN: Final = 3  # last prompt over first
_SLOPE_TIMES: Final = 3
_PEAK_TIMES: Final = 2
_TRACES_MIN: Final = 10
_TURNS_READ: Final = 40  # evenly spaced; a slope over more is the same slope

_OVERFLOW: Final = (
    r"(?i)(context[ _-]?(length|window|size|limit)|maximum context|context_length_exceeded|prompt is too long"
    r"|(input|prompt|request|message)s? (is |are )?(too long|exceeds?\b.{0,40}(token|context|length))|too many (input )?tokens"
    r"|(exceed|over)\w*.{0,40}(max(imum)?|limit).{0,20}tokens|reduce the length of the (messages|prompt|input))"
)
_OVERFLOWS: Final = """
select turn.t, turn.service, turn.agent, span.s, span.span_id, span.end_ns, span.resource_id, 0::bigint as before,
       coalesce(turn.prompt, 0)::bigint as peak, 0.0 as slope, turn.tokens::bigint as tokens, turn.place::integer as turns,
       left(span.error_text, 160) as text
from frame_speech turn join frame_span span using (s)
where span.failed and regexp_matches(left(span.error_text, 400), $overflow)
qualify row_number() over (partition by turn.t, turn.service, turn.agent order by span.s) = 1
order by turn.t, turn.service, turn.agent
"""
_GROWING: Final = """
with grown as (
  select t, service, agent, run, count(*) as turns, max(prompt) as peak, min_by(prompt, place) as before,
         max_by(prompt, place) as last, max_by(s, place) as s,
         sum(prompt)::bigint as given, list(prompt order by place) as prompts
  from frame_speech where prompt > 0 group by all
  having count(*) >= $turns_min and max(prompt) >= $peak_min
     and max_by(prompt, place) >= greatest($rise_min * min_by(prompt, place), 0.9 * max(prompt)))
select grown.*, span.span_id, span.end_ns, span.resource_id from grown join frame_span span using (s)
order by grown.t, grown.service, grown.agent, grown.run
"""


class _Growth(NamedTuple):
    t: int
    service: str
    agent: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    before: int
    peak: int
    slope: float
    tokens: int  # given beyond the first prompt, over all turns
    turns: int
    text: str  # of the error, if it overflowed


def context_growth(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and agent whose prompt overflowed, or grew out of proportion."""
    rows = frame.con.execute(_OVERFLOWS, {"overflow": _OVERFLOW}).fetchall()
    found = {growth[:3]: growth for growth in map(_Growth._make, rows)}
    for growth in _growing(frame, profile):
        found.setdefault(growth[:3], growth)
    return [_hit(found[key]) for key in sorted(found)]


def _growing(frame: Frame, profile: Profile) -> list[_Growth]:
    rows = frame.con.execute(
        _GROWING, {"turns_min": _TURNS_MIN, "peak_min": _PEAK_MIN, "rise_min": _RISE_MIN}
    ).fetchall()
    found = []
    for t, service, agent, _, turns, peak, before, _, s, given, prompts, *at in rows:
        usual = [
            extent.median(
                profile.extents, extent.Measure(name, service, agent), traces_min=_TRACES_MIN
            )
            for name in ("growth", "peak")
        ]
        if usual[0] is None or usual[1] is None or peak < _PEAK_TIMES * usual[1]:
            continue
        if _is_compacted(prompts) or _is_one_jump(prompts):
            continue
        slope = theil_sen(prompts)
        if slope >= _SLOPE_TIMES * usual[0]:
            wasted = given - before * turns
            found.append(
                _Growth(
                    t,
                    service,
                    agent,
                    s,
                    at[0],
                    at[1],
                    at[2],
                    before,
                    peak,
                    slope,
                    wasted,
                    turns,
                    "",
                )
            )
    return found


def _is_compacted(prompts: list[int]) -> bool:
    """Whether somebody already keeps the prompt small: it drops by more than a third somewhere."""
    return any(3 * after < 2 * before for before, after in pairwise(prompts))


def _is_one_jump(prompts: list[int]) -> bool:
    """Whether one turn makes up half of the growth: then something huge came in, once."""
    jump = max(after - before for before, after in pairwise(prompts))
    return 2 * jump >= prompts[-1] - prompts[0]


def theil_sen(values: list[int]) -> float:
    """The median slope between all pairs of (evenly chosen) values, per place."""
    step = max(1, -(-len(values) // _TURNS_READ))
    chosen = list(range(0, len(values), step))
    slopes = [
        (values[after] - values[before]) / (after - before)
        for place, before in enumerate(chosen)
        for after in chosen[place + 1 :]
    ]
    return median(slopes) if slopes else 0.0


def _hit(growth: _Growth) -> Hit:
    overflows = growth.text != ""
    note = (
        f"the prompt did not fit: {growth.text}"
        if overflows
        else f"{growth.peak} tokens after {growth.turns} turns, {growth.before} at first"
    )
    return Hit(
        detector="context_growth",
        category="context_growth",
        subject=Subject(service=growth.service, agent=growth.agent),
        exposure=Group(growth.service, growth.agent, EVERYTHING),
        trace=growth.t,
        spots=(spot(growth, Role.CAUSE, note),),
        calls=frozenset({growth.s}),
        grade=Grade.EXPLICIT if overflows else Grade.INFERRED,
        waste=Waste(tokens=max(0, growth.tokens)),
        strength=max(1, growth.peak // max(1, growth.before)) if growth.before else 1,
        slots={
            "peak": str(growth.peak),
            "slope": str(round(growth.slope)),
            "overflows": "yes" if overflows else "",
        },
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hits = [hit for found in assessment.pattern.hits.values() for hit in found]
    agent = wording.quoted(hits[0].subject.agent)
    overflows = sum(bool(hit.slots["overflows"]) for hit in hits)
    peak = max(int(hit.slots["peak"]) for hit in hits)
    slope = max(int(hit.slots["slope"]) for hit in hits)
    parts = [f" In {overflows} of them it no longer fits the model."] if overflows else []
    if slope:
        parts.append(f" By up to {slope} tokens a turn, to {peak} tokens.")
    ends = "until they overflow" if overflows else "far beyond other runs"
    return wording.Sentences(
        title=f"Prompts of agent {agent} grow with every turn, {ends}",
        summary=f"{wording.rate(assessment)}.{''.join(parts)} What was added is paid for again in every turn: "
        f"{assessment.impact.tokens_wasted} tokens.{wording.harm(assessment)}",
        why="the turn with the largest prompt",
        recommendation="Keep the prompt bounded: summarise or drop old tool results once they are used, keep the last turns "
        "whole, and set a budget of tokens at which the history is compacted.",
    )


CONTEXT_GROWTH: Final = Detector(
    name="context_growth",
    category="context_growth",
    find=context_growth,
    tell=_tell,
    prior=0.96,
    nature=Nature.RISK,
    habit=Habit.SHOWN,
)
