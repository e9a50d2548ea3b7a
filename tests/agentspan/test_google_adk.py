"""Google ADK (conventions §3c): version 1 here, version 2 in `captured/google_adk*.json`."""

import json
from typing import Any

import pytest

SCOPE = "gcp.vertex.agent"


def test_version_1_model_call(facts: Any) -> None:
    asked = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "config": {}}
    answer = {
        "content": {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"n": 1}}}]},
        "finish_reason": "MAX_TOKENS",
    }
    known = facts(
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-x",
            "gcp.vertex.agent.session_id": "s",
            "gcp.vertex.agent.llm_request": json.dumps(asked),
            "gcp.vertex.agent.llm_response": json.dumps(answer),
        },
        name="call_llm",
        scope=SCOPE,
    )
    assert (known.kind, known.provider, known.session_id) == ("llm", None, "s")
    assert (known.input_text, known.output_text) == ("Hi", 'f({"n":1})')
    assert known.finish_reason == "length"


def test_version_1_tool(facts: Any) -> None:
    known = facts(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "f",
            "gen_ai.tool.call.id": "<not specified>",
            "gcp.vertex.agent.tool_call_args": '{"n": 1}',
            "gcp.vertex.agent.tool_response": '{"result": "one"}',
        },
        scope=SCOPE,
    )
    assert (known.tool_call_id, known.tool_arguments) == (None, '{"n": 1}')
    assert known.tool_result == "one"


def test_content_that_is_switched_off_is_unknown_and_not_empty(facts: Any) -> None:
    off = dict.fromkeys(("gcp.vertex.agent.tool_call_args", "gcp.vertex.agent.tool_response"), "{}")
    tool = facts({"gen_ai.operation.name": "execute_tool", **off}, scope=SCOPE)
    assert (tool.tool_arguments, tool.tool_result, tool.input_text) == (None, None, None)
    model = facts(
        {"gcp.vertex.agent.llm_request": "{}", "gcp.vertex.agent.llm_response": "{}"},
        name="call_llm",
        scope=SCOPE,
    )
    assert (model.kind, model.input_text, model.output_text) == ("llm", None, None)


@pytest.mark.parametrize(
    ("name", "kind", "agent"),
    [("invocation", "chain", None), ("agent_run [writer]", "agent", "writer")],
)
def test_version_1_names(facts: Any, name: Any, kind: Any, agent: Any) -> None:
    known = facts({}, name=name, scope=SCOPE)
    assert (known.kind, known.agent_name) == (kind, agent)
    assert facts({}, name=name).kind == "other"
