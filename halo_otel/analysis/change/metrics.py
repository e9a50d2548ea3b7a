"""Figures of the runs of each agent, before and after: failures, duration, tokens, cost."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from halo_otel.analysis.causality.inference import (
    adjusted_p,
    difference,
    fisher_both,
    mann_whitney,
    ratio_of_levels,
)
from halo_otel.analysis.change.slower import RATIO_MIN, slower
from halo_otel.analysis.change.verdicts import EXCESS_MIN, LEVEL
from halo_otel.analysis.judgement import Judgement
from halo_otel.clock import NS_PER_S
from halo_otel.model.comparison import Change, MetricChange
from halo_otel.model.finding import Effect

RUNS_MIN: Final = 20  # of an agent on either side; fewer say nothing about a figure
FAILURES: Final = "failure rate"
DURATION: Final = "duration"

Agent = tuple[str, str]  # service, agent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Amount:
    name: str
    unit: str
    of: Callable[[Judgement], float]


_AMOUNTS: Final = (
    _Amount(name=DURATION, unit="s", of=lambda j: (j.end_ns - j.start_ns) / NS_PER_S),
    _Amount(name="tokens", unit="", of=lambda j: float(j.tokens)),
    _Amount(name="cost", unit="USD", of=lambda j: j.cost),
)


def compare(before: Sequence[Judgement], after: Sequence[Judgement]) -> list[MetricChange]:
    """Every figure of every agent that ran often enough on both sides, worse ones first.

    Agents are compared with themselves, so that another mix of agents changes no figure.
    """
    earlier, later = _by_agent(before), _by_agent(after)
    found: list[MetricChange] = []
    for agent in sorted(earlier.keys() & later.keys()):
        if min(len(earlier[agent]), len(later[agent])) >= RUNS_MIN:
            found += _figures(agent, earlier[agent], later[agent])
    adjusted = adjusted_p([change.effect.p_adjusted or 0.0 for change in found])
    decided = [_decided(change, p) for change, p in zip(found, adjusted, strict=True)]
    decided = [
        replace(one, slower=slower(earlier[one.service, one.agent], later[one.service, one.agent]))
        if one.name == DURATION and one.change is Change.WORSE
        else one
        for one in decided
    ]
    order = (Change.WORSE, Change.BETTER, Change.SAME)
    return sorted(decided, key=lambda one: order.index(one.change))


def _by_agent(judgements: Sequence[Judgement]) -> Mapping[Agent, list[Judgement]]:
    agents: dict[Agent, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        agents[judgement.service, judgement.agent].append(judgement)
    return agents


def _figures(
    agent: Agent, before: Sequence[Judgement], after: Sequence[Judgement]
) -> list[MetricChange]:
    """The figures with their unadjusted p, not decided yet."""
    figures = []
    known = [[j.failed for j in side if j.failed is not None] for side in (before, after)]
    if min(map(len, known)) >= RUNS_MIN:
        figures.append(_failures(agent, *known))
    for amount in _AMOUNTS:
        values = [[amount.of(j) for j in side if amount.of(j) > 0] for side in (before, after)]
        if min(map(len, values)) >= RUNS_MIN:
            figures.append(_level(agent, amount, *values))
    return figures


def _failures(agent: Agent, before: Sequence[bool], after: Sequence[bool]) -> MetricChange:
    counts = (sum(after), len(after), sum(before), len(before))
    gap = difference(*counts)
    return MetricChange(
        change=Change.SAME,
        name=FAILURES,
        unit="",
        service=agent[0],
        agent=agent[1],
        before=sum(before) / len(before),
        after=sum(after) / len(after),
        runs_before=len(before),
        runs_after=len(after),
        effect=Effect(
            measure="difference of rates, after minus before",
            value=gap.value,
            ci=(gap.low, gap.high),
            p_adjusted=fisher_both(*counts),
        ),
    )


def _level(
    agent: Agent, amount: _Amount, before: Sequence[float], after: Sequence[float]
) -> MetricChange:
    ratio = ratio_of_levels(after, before)
    return MetricChange(
        change=Change.SAME,
        name=amount.name,
        unit=amount.unit,
        service=agent[0],
        agent=agent[1],
        before=median(before),
        after=median(after),
        runs_before=len(before),
        runs_after=len(after),
        effect=Effect(
            measure="ratio, after over before",
            value=ratio.value,
            ci=(ratio.low, ratio.high),
            p_adjusted=mann_whitney(after, before),
        ),
    )


def _decided(metric: MetricChange, p: float) -> MetricChange:
    value = metric.effect.value
    change = Change.SAME
    if metric.name == FAILURES:
        if p <= LEVEL and abs(value) * metric.runs_after >= EXCESS_MIN:
            change = Change.WORSE if value > 0 else Change.BETTER
    elif p <= LEVEL and value >= RATIO_MIN:
        change = Change.WORSE
    elif p <= LEVEL and value <= 1 / RATIO_MIN:
        change = Change.BETTER
    return replace(metric, change=change, effect=replace(metric.effect, p_adjusted=p))
