"""OpenLLMetry (conventions §1, §2, §3a): decorated functions, LangChain, old and new keys."""

import json
from typing import Any

import pytest

KIND = "traceloop.span.kind"


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({KIND: "agent"}, "agent"),
        ({KIND: "tool"}, "tool"),
        ({KIND: "workflow"}, "chain"),
        ({KIND: "task"}, "chain"),
        ({KIND: "unknown"}, "other"),
        ({"llm.request.type": "completion"}, "llm"),
        ({"llm.request.type": "embedding"}, "embedding"),
        ({"llm.request.type": "rerank"}, "retriever"),
        ({"gen_ai.operation.name": "vector_db_retrieve", KIND: "unknown"}, "retriever"),
        ({"gen_ai.operation.name": "execute_task", "traceloop.entity.name": "x"}, "chain"),
    ],
)
def test_kind(facts: Any, attributes: Any, kind: Any) -> None:
    assert facts(attributes).kind == kind


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ({"args": [], "kwargs": {"city": "Ulm"}}, {"city": "Ulm"}),
        ({"args": ["Ulm"], "kwargs": {}}, {"args": ["Ulm"], "kwargs": {}}),
        ({"input_str": "x", "tags": [], "inputs": {"city": "Ulm"}}, {"city": "Ulm"}),
        ({"city": "Ulm"}, {"city": "Ulm"}),
    ],
)
def test_tool_arguments(facts: Any, value: Any, arguments: Any) -> None:
    known = facts({KIND: "tool", "traceloop.entity.input": json.dumps(value)})
    assert json.loads(known.tool_arguments) == arguments


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ('"12 degrees"', "12 degrees"),
        ('{"output": "12 degrees", "kwargs": {"tags": []}}', "12 degrees"),
        (
            '{"output": {"lc": 1, "kwargs": {"content": "12 degrees", "status": "success"}}}',
            "12 degrees",
        ),
        ('{"degrees": 12}', '{"degrees": 12}'),
    ],
)
def test_tool_result(facts: Any, value: Any, result: Any) -> None:
    assert facts({KIND: "tool", "traceloop.entity.output": value}).tool_result == result


def test_entities_content_is_no_tools_content_elsewhere(facts: Any) -> None:
    known = facts({KIND: "agent", "traceloop.entity.input": "{}", "traceloop.entity.name": "a"})
    assert (known.agent_name, known.tool_arguments, known.input_text) == ("a", None, "{}")


def test_model_call_in_old_keys(facts: Any) -> None:
    known = facts(
        {
            "llm.request.type": "chat",
            "gen_ai.system": "Langchain",
            "llm.request.model": "gpt-4",
            "llm.response.model": "gpt-4-0613",
            "llm.usage.prompt_tokens": 7,
            "llm.usage.completion_tokens": 8,
            "llm.usage.reasoning_tokens": 3,
            "llm.response.finish_reason": "tool_calls",
            "llm.user": "u",
            "traceloop.association.properties.thread_id": "t",
            "traceloop.workflow.name": "w",
            "traceloop.prompt.version": 3,
            "gen_ai.handoff.to_agent": "Billing",
        }
    )
    assert (known.provider, known.model_requested, known.model_served) == (
        None,
        "gpt-4",
        "gpt-4-0613",
    )
    assert (known.input_tokens, known.output_tokens, known.reasoning_tokens) == (7, 8, 3)
    assert (known.finish_reason, known.user_id, known.session_id) == ("tool_call", "u", "t")
    assert (known.workflow, known.prompt_version) == ("w", "3")
    assert known.handoff_target == "Billing"
