"""Payloads that stand there and are unknown: why, and that nothing compares them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.agentspan.unknown import is_cut

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}
ARGUMENTS, RESULT = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(st.text(), JSON, min_size=1), indent=st.sampled_from([None, 2]))
def test_whole_json_is_never_cut_and_its_beginnings_are(value: Any, indent: int | None) -> None:
    """But for a beginning that looks closed, because of braces inside its texts."""
    text = json.dumps(value, indent=indent)
    assert not is_cut(text)
    for end in range(len(text) // 2 + 2, len(text)):
        assert is_cut(text[:end]) or text[end - 1] == "}", text[:end]


@pytest.mark.parametrize(
    "text",
    [
        "[1/3] building",
        "[INFO] ready",
        "{name} is not set",
        '{"ok": true}\nexit code: 0',
        '["a"] was not found',
        "it was truncated",
        "the table was [not] truncated",
        '{"truncated": false}',
        "...",
        "to be continued …",
    ],
)
def test_words_are_no_cut(text: str) -> None:
    assert not is_cut(text)


@pytest.mark.parametrize(
    "text",
    [
        "a long result...[truncated]",
        "a long result… <truncated>",
        "<truncated due to size exceeding limit>",
        "a file\n\n[TRUNCATED - Content exceeds 60KB limit]",
        "x [This value has been truncated]",
        '{"a": "b... (truncated)',
        '{"a": tru',
        '["a", ',
        "{",
    ],
)
def test_markers_and_open_json_are_cuts(text: str) -> None:
    assert is_cut(text)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        (None, "empty"),
        ("<REDACTED>", "redacted"),
        ("[Scrubbed due to 'password']", "redacted"),
        ('{"city": "Ulm", "note": "a lon', "truncated"),
        ("text ...[truncated]", "truncated"),
        ("{}", None),
        ('{"city": "Ulm"}', None),
        ("plain", None),
    ],
)
def test_why_a_payload_is_unknown(facts: Any, value: Any, why: str | None) -> None:
    known = facts({**TOOL, ARGUMENTS: value, RESULT: value})
    assert (known.arguments_unknown, known.result_unknown) == (why, why)
    assert (known.tool_arguments is None) == (known.tool_result is None) == (why is not None)
    assert (known.sources.get("arguments_unknown") is None) == (why is None)


def test_a_redacted_member_makes_arguments_unknown(facts: Any) -> None:
    known = facts({**TOOL, ARGUMENTS: '{"id": "<redacted>"}'})
    assert (known.tool_arguments, known.arguments_unknown) == (None, "redacted")


def test_what_does_not_stand_there_has_no_reason(facts: Any) -> None:
    known = facts(TOOL)
    assert (known.tool_arguments, known.arguments_unknown, known.result_unknown) == (
        None,
        None,
        None,
    )


def test_another_source_that_knows_is_believed(facts: Any) -> None:
    known = facts(
        {**TOOL, ARGUMENTS: "<REDACTED>", "ai.toolCall.args": '{"a":1}', "ai.toolCall.name": "t"}
    )
    assert (known.tool_arguments, known.arguments_unknown) == ('{"a":1}', None)


def test_withheld_content_of_the_adk_is_redacted_not_an_empty_call(facts: Any) -> None:
    known = facts(
        {**TOOL, "gcp.vertex.agent.tool_call_args": "{}", "gcp.vertex.agent.tool_response": "{}"}
    )
    assert (known.arguments_unknown, known.result_unknown) == ("redacted", "redacted")


def test_content_in_events_tells_why_too(facts: Any) -> None:
    known = facts(
        TOOL,
        events={
            "gen_ai.tool.message": {"content": '{"city": "U'},
            "gen_ai.choice": {"message": '[{"text": "one ...[truncated]"}]'},
        },
    )
    assert (known.arguments_unknown, known.result_unknown) == ("truncated", "truncated")
    assert known.sources["result_unknown"] == "event:gen_ai.choice"


def test_a_cut_error_is_still_an_error(facts: Any) -> None:
    known = facts({**TOOL, RESULT: "ValueError: no rooms ...[truncated]"})
    assert (known.tool_result, known.result_unknown) == (None, "truncated")
    assert (known.error_source, known.error_type) == ("tool_result", "ValueError")
    assert known.output_text == "ValueError: no rooms ...[truncated]"


def test_a_cut_conversation_is_kept_for_reading(facts: Any) -> None:
    cut = '[{"role": "user", "parts": [{"type": "text", "content": "find me a'
    known = facts({"gen_ai.operation.name": "chat", "gen_ai.input.messages": cut})
    assert (known.input_text, known.input_unknown) == (cut, "truncated")


def test_a_redacted_conversation_has_no_text(facts: Any) -> None:
    known = facts({"gen_ai.operation.name": "chat", "gen_ai.output.messages": "<REDACTED>"})
    assert (known.output_text, known.output_unknown) == (None, "redacted")
