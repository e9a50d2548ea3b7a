"""Costly runs: part of an agent's runs take many times the tokens of the others (`analysis.modes`).

A run counts when it lies in the upper mode of its agent's tokens *and* far above its agent's rate (tokens
for each different call and each piece of what was asked, see `spending`): a large task is dear in the first
and usual in the second. It must take at least four times the usual for each. The rates need not be two
populations: long runs, which resend what was said, may be a third one. The upper mode matters when its median
is at least twice the lower one and 5,000 tokens more. What is told is told of the agent that was asked: who
spends the tokens below it differs from run to run.
"""

import math
from collections import Counter
from itertools import accumulate
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import ANY_AGENT, EVERYTHING, Grade, Group, Hit, Waste, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.histogram import BUCKET_WIDTH, Histogram
from halo_otel.analysis.usual.modes import Modes, modes
from halo_otel.analysis.usual.profile import Profile
from halo_otel.analysis.usual.spending import RUNS, Root
from halo_otel.model.finding import Role, Subject

_RATIO_MIN: Final = 2.0
# Context adds up: a run of twice the calls pays up to twice as much for each, and is healthy.
_RATE_RATIO_MIN: Final = 4.0
_ROBUST_Z_MIN: Final = 3.5  # Iglewicz and Hoaglin 1993
_EXCESS_TOKENS_MIN: Final = 5_000
_SPENDERS_SHOWN: Final = 3

# The dearest turn of the agent that took most of a run stands for it.
_COSTLY: Final = """
with threshold as (
  select unnest($service::varchar[]) as service, unnest($agent::varchar[]) as agent,
         unnest($tokens::double[]) as tokens_above, unnest($rate::double[]) as rate_above),
costly as (
  select run.* from run_tokens run join threshold using (service, agent)
  where run.tokens > tokens_above and run.rate > rate_above),
spender as (
  select t, arg_max(agent, (tokens, agent)) as agent
  from (select t, agent, sum(tokens) as tokens from frame_turn group by all) group by t)
select costly.t, costly.service, costly.agent, spender.agent as spender, costly.tokens, count(*) as turns,
       arg_max(turn.s, (turn.tokens, -turn.s)) as s, max(turn.tokens)::bigint as turn_tokens,
       sum(turn.cost) as cost, list(turn.s order by turn.s) as spans
from costly join spender using (t) join frame_turn turn on turn.t = costly.t and turn.agent = spender.agent
group by all order by costly.t
"""
_SPANS: Final = "select s, span_id, end_ns, resource_id from frame_span where s in (select unnest($s::integer[]))"


class _Run(NamedTuple):
    t: int
    service: str
    agent: str
    spender: str
    tokens: int
    turns: int
    s: int
    turn_tokens: int
    cost: float
    spans: list[int]


def costly_runs(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per run that is far dearer than its agent's others."""
    usual: dict[Root, tuple[Modes, float]] = {}
    for root, spending in sorted(profile.spending.items()):
        tokens = _dear(spending.tokens)
        if tokens:
            usual[root] = tokens, _far_above(spending.rate)
    if not usual:
        return []
    frame.con.execute(RUNS)
    parameters = {
        "service": [root.service for root in usual],
        "agent": [root.agent for root in usual],
        "tokens": [tokens.above for tokens, _ in usual.values()],
        "rate": [rate_above for _, rate_above in usual.values()],
    }
    runs = [_Run._make(row) for row in frame.con.execute(_COSTLY, parameters).fetchall()]
    spans = frame.con.execute(_SPANS, {"s": [run.s for run in runs]}).fetchall()
    spots = {s: (span_id, end_ns, resource_id) for s, span_id, end_ns, resource_id in spans}
    return [_hit(run, usual[Root(run.service, run.agent)][0], spots[run.s]) for run in runs]


def _dear(histogram: Histogram) -> Modes | None:
    found = modes(histogram)
    if found is None or found.upper < _RATIO_MIN * found.lower:
        return None
    return found if found.upper - found.lower >= _EXCESS_TOKENS_MIN else None


def _far_above(rates: Histogram) -> float:
    """Above which a rate is far from the median: a robust z > 3.5 of the logarithms, and four times as much."""
    middle = _median(rates)
    away: Counter[int] = Counter()
    for bucket, n in rates.items():
        away[abs(bucket - middle)] += n
    far = max(math.log(_RATE_RATIO_MIN), _ROBUST_Z_MIN * _median(away) * BUCKET_WIDTH / 0.6745)
    return math.exp((middle + 0.5) * BUCKET_WIDTH + far)


def _median(histogram: Histogram) -> int:
    """The bucket in which the lower median lies."""
    buckets = sorted(histogram)
    before = accumulate(histogram[bucket] for bucket in buckets)
    half = sum(histogram.values())
    return next(bucket for bucket, n in zip(buckets, before, strict=True) if 2 * n >= half)


def _hit(run: _Run, usual: Modes, spot: tuple[str, int, int]) -> Hit:
    span_id, end_ns, resource_id = spot
    extra = max(0, run.tokens - round(usual.lower))
    return Hit(
        detector="costly_runs",
        category="cost",
        subject=Subject(service=run.service),
        exposure=Group(run.service, ANY_AGENT, EVERYTHING),
        scope=(run.agent,),
        trace=run.t,
        spots=(
            spot_at(
                span_id,
                end_ns,
                resource_id,
                Role.CAUSE,
                f"the dearest of {run.turns} turns: {run.turn_tokens:,} of {run.tokens:,} tokens",
            ),
        ),
        calls=frozenset(run.spans),
        grade=Grade.INFERRED,
        waste=Waste(tokens=extra, cost=run.cost * extra / run.tokens if run.tokens else 0.0),
        strength=run.turns,
        slots={
            "root": run.agent,
            "spender": run.spender,
            "usual": f"{usual.lower:,.0f}",
            "dear": f"{usual.upper:,.0f}",
        },
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    spenders = Counter(
        one.slots["spender"] for found in assessment.pattern.hits.values() for one in found
    )
    most = sorted(spenders, key=lambda name: (-spenders[name], name))[:_SPENDERS_SHOWN]
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.slots['root'])}: part of the runs cost many times what the others do",
        summary=f"{wording.rate(assessment)}: about {hit.slots['dear']} tokens instead of the usual "
        f"{hit.slots['usual']}, also in proportion to what they were asked; the costly runs form a group "
        f"of their own, not a tail. Most of it goes to {', '.join(map(wording.quoted, most))}."
        f"{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the turn of the run that took the most tokens",
        recommendation="Compare the turns of a costly run with a usual one: what was put into the prompt "
        "that the usual run does without (a long tool result, a resent history), and how many turns were "
        "made after the answer was known. Cap or summarise it.",
    )


COSTLY_RUNS: Final = Detector(
    name="costly_runs",
    category="cost",
    find=costly_runs,
    tell=_tell,
    prior=0.95,
    nature=Nature.INEFFICIENCY,
    isolated=Isolated.NEVER,
    habit=Habit.SHOWN,
)
