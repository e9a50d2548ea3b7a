"""Costly runs: part of an agent's runs take many times the tokens of the others (`analysis.modes`).

A run counts when it lies in the upper mode of its agent's tokens *and* of its agent's rate (tokens for
each different call and each piece of what was asked, see `spending`): a large task is dear in the first
and usual in the second. It must take at least four times the usual for each. The upper mode matters when its median is at least twice the lower one and
5,000 tokens more.
"""

from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import ANY_AGENT, EVERYTHING, Grade, Group, Hit, Waste, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.histogram import Histogram
from halo_otel.analysis.usual.modes import Modes, modes
from halo_otel.analysis.usual.profile import Profile
from halo_otel.analysis.usual.spending import RUNS, Root
from halo_otel.model.finding import Role, Subject

_RATIO_MIN: Final = 2.0
# Context adds up: a run of twice the calls pays up to twice as much for each, and is healthy.
_RATE_RATIO_MIN: Final = 4.0
_EXCESS_TOKENS_MIN: Final = 5_000

# The agent that took most of a run is told, its dearest turn stands for the run.
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
    usual: dict[Root, tuple[Modes, Modes]] = {}
    for root, spending in sorted(profile.spending.items()):
        tokens, rate = _dear(spending.tokens), modes(spending.rate)
        if tokens and rate:
            usual[root] = tokens, rate
    if not usual:
        return []
    frame.con.execute(RUNS)
    parameters = {
        "service": [root.service for root in usual],
        "agent": [root.agent for root in usual],
        "tokens": [tokens.above for tokens, _ in usual.values()],
        "rate": [max(rate.above, _RATE_RATIO_MIN * rate.lower) for _, rate in usual.values()],
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


def _hit(run: _Run, usual: Modes, spot: tuple[str, int, int]) -> Hit:
    span_id, end_ns, resource_id = spot
    extra = max(0, run.tokens - round(usual.lower))
    return Hit(
        detector="costly_runs",
        category="cost",
        subject=Subject(service=run.service, agent=run.spender),
        exposure=Group(run.service, ANY_AGENT, EVERYTHING),
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
        slots={"usual": f"{usual.lower:,.0f}", "dear": f"{usual.upper:,.0f}"},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    agent = wording.quoted(hit.subject.agent)
    return wording.Sentences(
        title=f"Agent {agent}: part of the runs cost many times what the others do",
        summary=f"{wording.rate(assessment)}: about {hit.slots['dear']} tokens instead of the usual "
        f"{hit.slots['usual']}, also in proportion to what they were asked; the costly runs form a group "
        f"of their own, not a tail.{wording.waste(assessment)}{wording.harm(assessment)}",
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
