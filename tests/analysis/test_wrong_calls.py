"""What holds for all claims about wrong calls together."""

import json

import pytest

from halo_otel.analysis import frame
from halo_otel.analysis.detectors import BY_NAME
from halo_otel.analysis.usual import profile
from halo_otel.model.finding import Severity
from tests.analysis.conftest import Row, Traffic, report_on, view_of

NAMES = (
    "unknown_tool",
    "invalid_arguments",
    "tolerated_arguments",
    "ungrounded_argument",
    "malformed_output",
)
DEFINITIONS = json.dumps(
    [
        {
            "name": "cancel",
            "parameters": {
                "properties": {"order_id": {"type": "string"}, "mode": {"enum": ["soft", "hard"]}},
                "required": ["order_id"],
            },
        }
    ]
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Runs that look an order up and cancel it; one in ten does each thing wrong."""
    traffic = Traffic()
    for number in range(200):
        run = traffic.run(outcome=None)
        run.turn(input_text=f"cancel my order, I am {number}", tool_definitions=DEFINITIONS)
        order = f"ord-{9000 + number}"
        run.call("list_orders", {"n": number}, f"open: {order}")
        told = {"order_id": order, "mode": "soft"}
        match number % 10:
            case 0:
                run.call("cancell", told, None, error="Unknown tool: cancell")
            case 1:
                run.call("cancel", {"orderid": order}, None, error="orderid: unexpected argument")
            case 2:
                run.call("cancel", {**told, "order_id": f"ord-x{number}"}, None, error="not found")
            case 3:
                run.call("cancel", told, None, error="JSONDecodeError: Extra data: line 1")
                run.span["tool_arguments"] = '{"order_id": 1}}{'
            case 4:
                run.call("cancel", {**told, "mode": "quiet"}, "ok")
        run.call("cancel", told, "ok").turn()
    return traffic.rows


def test_each_is_found_once(rows: list[Row]) -> None:
    found = [one for one in report_on(rows).findings if one.detector in NAMES]
    assert sorted(one.detector for one in found) == sorted(NAMES)
    assert all(one.impact.traces_affected == 20 for one in found)
    quiet = [one.detector for one in found if one.severity is Severity.INFO]
    assert "tolerated_arguments" in quiet


def test_shards_say_the_same(rows: list[Row]) -> None:
    """The hits of each shard, with what all have learned, are the hits of the whole."""
    traces = sorted({str(row["trace_id"]) for row in rows})
    parts = [traces[place::5] for place in range(5)]
    with view_of(rows) as view:
        shards = [profile.learn(frame.build(view.con, part)) for part in parts]
        learned = profile.merge(shards)
        found = []
        for part in [*parts, traces]:
            built = frame.build(view.con, part)
            found.append(
                {
                    (part[hit.trace], hit.detector, hit.subject.tool, hit.scope, hit.grade)
                    for name in NAMES
                    for hit in BY_NAME[name].find(built, learned)
                }
            )
        assert profile.learn(built).tools == learned.tools
    *sharded, whole = found
    assert set().union(*sharded) == whole
    assert len(whole) == 100
