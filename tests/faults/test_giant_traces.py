"""Traces of monstrous shape: the analysis ends, finds no nonsense, and every span is in the goal tree."""

from collections.abc import Callable

import pytest

from halo_otel.analysis.goals.tree import goal_tree
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import extend
from halo_otel.config import sections
from halo_otel.model.finding import Severity
from tests.analysis.conftest import MS, START_NS, Row, view_of

TRACE = f"{1:032x}"
SPANS = 10_000
# What every row has.
WHOLE: Row = {
    "kind": 1,
    "status_code": 0,
    "status_message": "",
    "attributes": "{}",
    "events": "[]",
    "links": "[]",
    "resource_id": 1,
    "scope_id": 1,
}

Parent = Callable[[int], int | None]


def star(place: int) -> int | None:
    return 0 if place else None


def chain(place: int) -> int | None:
    return place - 1 if place else None


def cycle(place: int) -> int | None:
    """No root at all."""
    return (place - 1) % SPANS


def pairs(place: int) -> int | None:
    """Each second span and the one before are each other's parent."""
    return place ^ 1


def rows(parent: Parent) -> list[Row]:
    """An agent's turns and the calls they make, of as many tools as there are calls."""
    made: list[Row] = []
    for place in range(SPANS):
        above = parent(place)
        is_call = place % 2 == 0 and place > 0
        made.append(
            {
                "trace_id": TRACE,
                "span_id": f"{place + 1:016x}",
                "parent_span_id": "" if above is None else f"{above + 1:016x}",
                "name": "invoke_agent" if place == 0 else f"step {place}",
                "service": "shop",
                "span_kind": "agent" if place == 0 else "tool" if is_call else "llm",
                "tool_name": f"tool {place}" if is_call else None,
                "tool_arguments": f'{{"n": {place}}}' if is_call else None,
                "tool_result": f"result {place}" if is_call else None,
                "start_ns": START_NS + place * MS,
                "end_ns": START_NS + (2 * SPANS - place) * MS,
                **WHOLE,
            }
        )
    return made


@pytest.mark.parametrize("parent", [star, chain, cycle, pairs])
def test_a_trace_of_any_shape_is_analysed(parent: Parent) -> None:
    with view_of(rows(parent)) as view:
        lookback = Lookback()
        run = extend(lookback, view, settings=sections.Analysis(), until_ns=0, offline=True)
        nodes = goal_tree(view, TRACE)
    assert [one.trace_id for one in lookback.judgements()] == [TRACE]
    assert run.report.window.spans == SPANS
    assert {node.span_id for node in nodes} >= {f"{place + 1:016x}" for place in range(SPANS)}
    assert not [one.title for one in run.report.findings if one.severity is not Severity.INFO]
