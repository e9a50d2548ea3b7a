"""`cohort`: what the traces of a set have in common against the others."""

from typing import Any, Final

from halo_otel.analysis.causality import origins
from halo_otel.analysis.cohorts.mining import SUPPORT_MIN, Case, mine
from halo_otel.recursion.environment.arguments import Arguments, TraceSet
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, failure, page

_SHARES_SHOWN: Final = 30


class Cohort(Arguments):
    """What a set of traces has in common that the others have not, among what was settled before they
    began (version, model, prompt, tool set, tenant, task, input size, …), compared within agents: first
    combinations that luck does not explain (tested, with risk ratio), then plain shares. Common is not
    cause."""

    traces: TraceSet


def run(environment: Environment, asked: Cohort) -> Reply:
    """The cohorts, then shares."""
    inside = set(environment.among(asked.traces))
    total = len(environment.judgements)
    if not inside or len(inside) == total:
        return failure(f"the set holds {len(inside)} of {total} traces: name some and not all")
    cases = [
        Case(
            bad=one.trace_id in inside,
            stratum=f"{one.service} {one.agent}",
            attributes=dict(one.origin.attributes),
        )
        for one in environment.judgements
    ]
    found = mine(cases, origins.NAMES, "cohort")
    items: list[dict[str, Any]] = [
        {
            "cohort": _shown(environment, one.conditions),
            "same_traces_have": _shown(environment, one.alike),
            "of_the_set": one.bad,
            "in_all": len(one.places),
            "others_of_the_set": one.rest_bad,
            "others": one.rest,
            "risk_ratio": round(one.ratio.value, 2),
            "low": round(one.ratio.low, 2),
            "p": round(one.p_adjusted, 4),
        }
        for one in found
    ]
    head = {"set": len(inside), "others": total - len(inside), "cohorts": len(found)}
    if total < 2 * SUPPORT_MIN:
        head["too_few_to_test"] = 2 * SUPPORT_MIN
    items += _shares(environment, cases, len(inside))
    return page(
        environment.fence, items, head=head, bytes_max=asked.bytes_max, more="more bytes_max"
    )


def _shown(environment: Environment, conditions: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {name: environment.shown(value) for name, value in conditions}


def _shares(environment: Environment, cases: list[Case], inside: int) -> list[dict[str, Any]]:
    """Attributes by how much commoner they are in the set."""
    counts: dict[tuple[str, str], list[int]] = {}
    for case in cases:
        for condition in case.attributes.items():
            counts.setdefault(condition, [0, 0])[case.bad] += 1
    others = len(cases) - inside

    def lead(condition: tuple[str, str]) -> tuple[float, tuple[str, str]]:
        other, own = counts[condition]
        return -(own / inside - other / others), condition

    return [
        {
            "has": _shown(environment, (condition,)),
            "of_the_set": counts[condition][True],
            "of_the_others": counts[condition][False],
        }
        for condition in sorted(counts, key=lead)[:_SHARES_SHOWN]
        if lead(condition)[0] < 0
    ]
