"""OpenInference as its instrumentors of OpenAI, the OpenAI Agents SDK and LangChain write it."""

import json
from typing import Any

import pytest

AGENTS = "openinference.instrumentation.openai_agents"


def test_the_span_of_a_whole_trace_is_no_agent(facts: Any) -> None:
    stated = {"openinference.span.kind": "AGENT"}
    assert facts(stated, name="Agent workflow", scope=AGENTS).kind == "chain"
    assert facts({**stated, "graph.node.id": "travel"}, scope=AGENTS).kind == "agent"
    assert facts(stated, name="travel", scope="mine").kind == "agent"


def test_the_model_requested_is_in_the_parameters(facts: Any) -> None:
    """`llm.model_name` begins as the requested model and ends as the served one."""
    known = facts(
        {
            "openinference.span.kind": "LLM",
            "llm.invocation_parameters": '{"model": "gpt-5-mini"}',
            "llm.model_name": "gpt-5-mini-2026-01-01",
        }
    )
    assert (known.model_requested, known.model_served) == ("gpt-5-mini", "gpt-5-mini-2026-01-01")


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("12 degrees", "12 degrees"),
        (
            json.dumps({"type": "tool", "data": {"content": "12 degrees", "tool_call_id": "c1"}}),
            "12 degrees",
        ),
        ('{"tool_call_id": "c1"}', '{"tool_call_id": "c1"}'),
        ('["tool_call_id"]', '["tool_call_id"]'),
    ],
)
def test_tool_result(facts: Any, value: str, result: str) -> None:
    known = facts({"openinference.span.kind": "TOOL", "output.value": value})
    assert known.tool_result == result
