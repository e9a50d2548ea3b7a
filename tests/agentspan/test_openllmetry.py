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


def test_langchain_under_otels_keys(facts: Any) -> None:
    """The instrumentor puts its whole notes where OTel has only the arguments and the result."""
    given = {
        "input_str": "{'city': 'Ulm'}",
        "inputs": {"city": "Ulm"},
        "kwargs": {"tool_call_id": "c1", "name": None},
    }
    message = {"id": ["langchain", "ToolMessage"], "kwargs": {"content": "12 degrees"}}
    known = facts(
        {
            "gen_ai.operation.name": "execute_tool",
            "traceloop.span.kind": "tool",
            "traceloop.entity.input": json.dumps(given),
            "gen_ai.tool.call.arguments": json.dumps(given),
            "gen_ai.tool.call.result": json.dumps({"output": message, "kwargs": {"tags": []}}),
        }
    )
    assert json.loads(known.tool_arguments) == {"city": "Ulm"}
    assert (known.tool_result, known.tool_call_id) == ("12 degrees", "c1")


@pytest.mark.parametrize(
    "value", ['{"kwargs": "tool_call_id", "a": "tool_call_id"}', '["tool_call_id"]', '"input_str"']
)
def test_what_only_looks_like_langchain_is_taken_as_it_is(facts: Any, value: str) -> None:
    known = facts(
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.input": value,
            "gen_ai.tool.call.arguments": value,
        }
    )
    assert known.tool_call_id is None
    assert known.tool_arguments is not None


def test_a_task_of_the_instrumentor_without_its_own_keys(facts: Any) -> None:
    assert facts({"gen_ai.operation.name": "execute_task"}).kind == "chain"


@pytest.mark.parametrize(
    ("messages", "asked"),
    [
        ([["user", "Ulm?"]], "Ulm?"),
        ([["user", "Ulm?"], ["ai", "12 degrees"]], "Ulm?"),
        ([{"kwargs": {"type": "human", "content": "Ulm?"}}, {"kwargs": {"type": "ai"}}], "Ulm?"),
        ([{"kwargs": {"type": "ai", "content": "12 degrees"}}, ["user"], None], None),
        ("Ulm?", None),
    ],
)
def test_what_a_langchain_graph_was_asked(facts: Any, messages: Any, asked: Any) -> None:
    value = json.dumps({"inputs": {"messages": messages}, "tags": []})
    known = facts({"traceloop.span.kind": "workflow", "traceloop.entity.input": value})
    assert known.input_text == (asked or value)
