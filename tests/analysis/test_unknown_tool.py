"""Calls of tools that do not exist."""

import json

import pytest

from halo_otel.analysis.wrongcalls import complaints
from halo_otel.analysis.wrongcalls.offered import same
from halo_otel.model.finding import Finding, Severity
from tests.analysis.conftest import Row, Traffic, findings_in

OFFER: Row = {
    "tool_definitions": json.dumps(
        [{"type": "function", "name": name} for name in ("search", "book", "mcp__docs__read_page")]
    )
}


def unknown(traffic: Traffic) -> list[Finding]:
    return findings_in(traffic, "unknown_tool")


def calling(
    traffic: Traffic,
    tool: str,
    *,
    error: str | None,
    count: int = 6,
    asking: Row | None = None,
    result: str | None = None,
    arguments: object = None,
) -> None:
    for number in range(count):
        run = traffic.run(outcome=error is None)
        run.call("search", {"q": f"{tool}{number}"}, "x", asking=asking)
        run.call(tool, arguments or {"n": number}, result, error=error, asking=asking).turn()


def test_what_the_error_calls_unknown_is_unknown(traffic: Traffic) -> None:
    traffic.healthy(40)
    calling(traffic, "serch", error="Error: serch is not a valid tool, try one of [search, book].")
    (finding,) = unknown(traffic)
    assert finding.severity is not Severity.INFO
    assert finding.subject.tool == "serch"
    assert '"search"' in finding.recommendation
    assert finding.impact.traces_exposed == 46  # all runs of the agent could have called it


def test_what_no_list_of_tools_has_is_unknown(traffic: Traffic) -> None:
    traffic.healthy(40)
    calling(traffic, "book_flight", error="failed", asking=OFFER)
    (finding,) = unknown(traffic)
    assert '"book"' in finding.recommendation


def test_the_models_own_words_make_an_invented_name_unknown(traffic: Traffic) -> None:
    traffic.healthy(40)
    asking = {**OFFER, "output_text": '[{"type":"tool_call","name":"teleport"}]'}
    calling(traffic, "teleport", error="failed", asking=asking)
    (finding,) = unknown(traffic)
    assert finding.subject.tool == "teleport"


def test_a_rare_twin_that_never_works_is_unknown(traffic: Traffic) -> None:
    traffic.healthy(300)
    calling(traffic, "searchs", error="failed", count=12)
    (finding,) = unknown(traffic)
    assert '"search"' in finding.recommendation


def test_an_answer_that_says_so_is_enough(traffic: Traffic) -> None:
    traffic.healthy(40)
    calling(traffic, "fetch_all", error=None, result="Unknown tool name: 'fetch_all'.")
    (finding,) = unknown(traffic)
    assert finding.subject.tool == "fetch_all"


def test_a_run_that_breaks_without_a_call_names_the_tool(traffic: Traffic) -> None:
    traffic.healthy(40)
    for _ in range(5):
        run = traffic.run(outcome=False)
        run.turn()
        run.rows[0] |= {"error_message": "ModelBehaviorError: Tool fly not found in agent booker"}
    (finding,) = unknown(traffic)
    assert finding.subject.tool == "fly"
    assert finding.impact.traces_affected == 5


def test_what_is_offered_and_not_there_is_told_apart(traffic: Traffic) -> None:
    traffic.healthy(40)
    calling(traffic, "book", error="Unknown tool: book", asking=OFFER)
    (finding,) = unknown(traffic)
    assert "register it" in finding.recommendation


# Traffic that a healthy system makes.


def test_a_tool_that_always_fails_is_not_unknown(traffic: Traffic) -> None:
    traffic.healthy(40)
    calling(traffic, "render", error="TemplateError: no such template", count=20)
    assert not unknown(traffic)


def test_a_backend_that_is_down_is_not_unknown(traffic: Traffic) -> None:
    traffic.healthy(40)
    calling(traffic, "searcher", error="HTTP 503 from backend", asking=OFFER)
    calling(traffic, "booking", error="connection refused", asking=OFFER)
    assert not unknown(traffic)


def test_prefixes_do_not_confuse(traffic: Traffic) -> None:
    for tool in traffic.each(["read_page", "docs__read_page", "functions.search", "docs/book"]):
        traffic.healthy(40)
        calling(traffic, tool, error="failed", asking=OFFER)
    assert not unknown(traffic)


def test_steps_that_no_model_chose_need_no_definition(traffic: Traffic) -> None:
    traffic.healthy(40)
    calling(traffic, "load_profile", error=None, result="ok", asking=OFFER)
    calling(traffic, "audit_log", error="disk full", asking=OFFER)
    assert not unknown(traffic)


def test_two_tools_with_similar_names_both_exist(traffic: Traffic) -> None:
    traffic.healthy(300)
    calling(traffic, "searches", error=None, result="ok", count=2)
    calling(traffic, "searches", error="failed", count=4)
    assert not unknown(traffic)


def test_what_a_tool_looks_for_in_code_is_no_tool(traffic: Traffic) -> None:
    traffic.healthy(40)
    asked = {"symbol": "parse_tool"}
    calling(traffic, "find_symbol", error="function parse_tool not found", arguments=asked)
    calling(traffic, "find_symbol", error=None, result="found", arguments=asked)
    calling(traffic, "shell", error="bash: frob: command not found", arguments={"c": "frob"})
    assert not unknown(traffic)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Error: x_y is not a valid tool, try one of [a].", "x_y"),
        ("Tool x_y not found in agent booker", "x_y"),
        ("Unknown tool name: 'x_y'. Available tools: a", "x_y"),
        ("AI_NoSuchToolError: Model tried to call unavailable tool 'x_y'.", "x_y"),
        ("MCP error -32602: Unknown tool: x_y", "x_y"),
        ("MCP error -32602: Tool x_y not found", "x_y"),
        ("<tool_use_error>Error: No such tool available: x_y</tool_use_error>", "x_y"),
        ("Action 'x_y' don't exist, these are the only available Actions: a", "x_y"),
        ("Error: Function x_y not found.", "x_y"),
        ("Function x_y is not found in the tools_dict.", "x_y"),
        ("Tool with name x_y not found", "x_y"),
        ("unknown tool", ""),
        ("The tool was not found", ""),
        ("no such user", None),
        ("HTTP 404: page not found", None),
        ("tool took too long", None),
    ],
)
def test_errors_name_the_tool(text: str, name: str | None) -> None:
    assert complaints.missing_tool(text) == name


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("search", "search", True),
        ("search", "web__search", True),
        ("mcp__web__search", "web.search", True),
        ("get-page", "get_page", True),
        ("search", "research", False),
        ("a__search", "b__search", False),
    ],
)
def test_which_names_mean_one_tool(one: str, two: str, *, alike: bool) -> None:
    assert same(one, two) is same(two, one) is alike
