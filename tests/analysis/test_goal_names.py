"""What a goal is called, without a model."""

import pytest

from halo_otel.analysis.goals import names
from halo_otel.analysis.goals.tree import goal_tree
from tests.analysis.conftest import Traffic, view_of


@pytest.mark.parametrize(
    ("tool", "argument", "purpose"),
    [
        ("search_flights", "Ulm", "search flights Ulm"),
        ("searchFlights", None, "search flights"),
        ("mcp__air__get-user", ":", "get user"),
        ("SQL_query", "\u202eevil\n", "SQL query evil"),
    ],
)
def test_what_a_call_is_for(tool: str, argument: str | None, purpose: str) -> None:
    assert names.purpose(tool, argument) == purpose


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"city": "Ulm", "password": "hunter2"}, "search Ulm"),
        ({"password": "hunter2"}, "search"),
        ({"query": "x" * 61}, "search"),
        ({"order_id": "#W1", "reason": "late"}, "search #W1"),
    ],
)
def test_only_short_telling_arguments_are_shown(
    traffic: Traffic, arguments: dict[str, str], shown: str
) -> None:
    run = traffic.run().call("search", arguments, "x")
    with view_of(traffic.rows) as view:
        assert goal_tree(view, run.trace_id)[-1].name == shown
