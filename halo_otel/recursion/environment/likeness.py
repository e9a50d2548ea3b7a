"""How alike runs are by their steps: the run that stands for a group, and the nearest of another group.

Two runs are as far apart as their steps and pairs of following steps differ (1 - weighted Jaccard), a step
being its tool or model call, whose it is and whether it failed. That needs no order in time and no model.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from halo_otel.recursion.environment.environment import Environment

MEMBERS_MAX: Final = 40  # of a group that are compared each with each
CANDIDATES_MAX: Final = 200  # for the nearest one

Steps: TypeAlias = Counter[tuple[str, ...]]

_STEPS: Final = """
select trace_id, list(concat_ws(' ', coalesce(tool, 'model'), agent, if(failed, 'failed', '')) order by step)
from spans where (is_call or kind = 'llm') and trace_id in (select unnest($traces::varchar[]))
group by trace_id
"""


def steps_of(environment: Environment, traces: Iterable[str]) -> dict[str, Steps]:
    """The steps of each of these traces, singly and in pairs."""
    wanted = sorted(set(traces))
    rows = dict(environment.rows(_STEPS, {"traces": wanted}))
    return {trace: _counted(rows.get(trace, [])) for trace in wanted}


def _counted(steps: Sequence[str]) -> Steps:
    return Counter([*((step,) for step in steps), *pairwise(steps)])


def distance(one: Steps, other: Steps) -> float:
    """0 for the same steps, 1 for none in common."""
    either = (one | other).total()
    return 1 - (one & other).total() / either if either else 0.0


def thinned(traces: Sequence[str], limit: int) -> list[str]:
    """At most `limit` of them, evenly spread."""
    if len(traces) <= limit:
        return list(traces)
    return [traces[place * len(traces) // limit] for place in range(limit)]


def medoid(traces: Sequence[str], steps: Mapping[str, Steps]) -> str | None:
    """The one that is nearest to all others, the first of several; None of none."""
    return min(
        traces,
        key=lambda one: (sum(distance(steps[one], steps[other]) for other in traces), one),
        default=None,
    )


def nearest(to: str, traces: Sequence[str], steps: Mapping[str, Steps]) -> str | None:
    """The one that differs least from `to`, the first of several; None of none."""
    return min(traces, key=lambda one: (distance(steps[to], steps[one]), one), default=None)
