"""Whether a span failed, who says so, in what words."""

from typing import Any

import pytest

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}
RESULT = "gen_ai.tool.call.result"
EXCEPTION = {"exception.type": "app.TimeoutError", "exception.message": "30 s are over"}


def test_status(facts: Any) -> None:
    known = facts({**TOOL, RESULT: "Exit code 2"}, status=(2, "ValueError: bad id"))
    assert known.failed
    assert (known.error_source, known.error_type) == ("status", "ValueError")
    assert known.error_message == "ValueError: bad id"
    assert known.sources["error_source"] == "status"


def test_status_without_words_takes_those_of_the_result(facts: Any) -> None:
    known = facts({**TOOL, RESULT: "Exit code 2"}, status=(2, ""))
    assert (known.error_source, known.error_message) == ("status", "Exit code 2")


def test_exception_says_more_than_status(facts: Any) -> None:
    known = facts({"error.type": "x"}, status=(2, "failed"), events={"exception": EXCEPTION})
    assert (known.error_source, known.error_type) == ("status", "app.TimeoutError")
    assert known.error_message == "30 s are over"


def test_exception_with_unset_status(facts: Any) -> None:
    known = facts({}, events={"exception": EXCEPTION})
    assert (known.error_source, known.error_type) == ("exception", "app.TimeoutError")


def test_exception_that_was_handled(facts: Any) -> None:
    known = facts({}, status=(1, ""), events={"exception": EXCEPTION})
    assert (known.failed, known.error_type, known.error_message) == (False, None, None)


def test_protocol(facts: Any) -> None:
    known = facts({**TOOL, "mcp.method.name": "tools/call", "error.type": "tool_error"})
    assert (known.error_source, known.error_type) == ("protocol", "tool_error")
    assert facts({"mcp.method.name": "x", "rpc.response.status_code": "-32602"}).failed
    assert facts({**TOOL, "error.type": "_OTHER"}, status=(2, "")).error_type is None


@pytest.mark.parametrize(
    ("result", "error_type", "message"),
    [
        ("Error: flight HAT030 not available", None, "Error: flight HAT030 not available"),
        ("Error executing query: no table", None, "Error executing query: no table"),
        ("KeyError: 'x'", "KeyError", "KeyError: 'x'"),
        ("requests.exceptions.ReadTimeoutError: x", "requests.exceptions.ReadTimeoutError", None),
        ("Exception: x", None, "Exception: x"),
        (
            "Traceback (most recent call last):\n  File\nZeroDivisionError: by zero",
            "ZeroDivisionError",
            None,
        ),
        ("An error occurred while running the tool. Please try again.", None, None),
        ('{"error": "not found"}', None, "not found"),
        ('{"error": {"message": "no city", "code": 4}}', None, "no city"),
        ('{"ok": 1, "error": true}', None, None),
        ('{"isError": true, "content": []}', None, None),
        ('{"is_error": true}', None, None),
        ('{"status": 404, "body": ""}', None, None),
        ('"{\\"error\\": \\"encoded twice\\"}"', None, "encoded twice"),
    ],
)
def test_results_that_are_errors(facts: Any, result: Any, error_type: Any, message: Any) -> None:
    for status in ((0, ""), (1, "")):
        known = facts({**TOOL, RESULT: result}, status=status)
        assert known.error_source == "tool_result"
        assert known.sources["error_source"] == RESULT
        assert known.error_type == error_type
        assert known.error_message == (message or result)


@pytest.mark.parametrize(
    "result",
    [
        "Errors found: 0",
        "Error rate: 0.2 %",
        "no error",
        "exitcode: 0 (execution succeeded)",
        '{"error": null, "rows": []}',
        '{"error": ""}',
        '{"error": "none"}',
        '{"error": false}',
        '{"error": {}}',
        '{"error": 0.02, "mean": 5}',
        '{"isError": false}',
        '{"status": 200}',
        '{"status": "error-free"}',
        '{"status": 1200}',
        '{"rows": [{"error": "inside data"}]}',
        '{"error": "broken json',
        '["Error"]',
    ],
)
def test_results_that_are_no_errors(facts: Any, result: Any) -> None:
    assert not facts({**TOOL, RESULT: result}).failed


def test_words_of_an_error_count_on_tools_only(facts: Any) -> None:
    assert not facts({"openinference.span.kind": "LLM", "output.value": "Error: x"}).failed


def test_message_is_bounded(facts: Any) -> None:
    known = facts({**TOOL, RESULT: "Error: " + "x" * 10_000})
    assert len(known.error_message) == 4096
    assert len(known.tool_result) == 10_007
