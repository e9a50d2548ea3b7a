"""LangSmith (conventions §2, §3b); the exporter as it is: `captured/langsmith.json`."""

import json
from typing import Any

import pytest

KIND = "langsmith.span.kind"


@pytest.mark.parametrize(
    ("stated", "name", "kind"),
    [
        ("llm", "ChatOpenAI", "llm"),
        ("tool", "x", "tool"),
        ("retriever", "x", "retriever"),
        ("embedding", "x", "embedding"),
        ("prompt", "x", "chain"),
        ("parser", "x", "chain"),
        ("chain", "RunnableSequence", "chain"),
        ("chain", "AgentExecutor", "agent"),
        ("strange", "x", "other"),
    ],
)
def test_kind(facts: Any, stated: Any, name: Any, kind: Any) -> None:
    assert facts({KIND: stated, "gen_ai.operation.name": stated}, name=name).kind == kind


def test_the_project_is_no_session(facts: Any) -> None:
    project = {"langsmith.trace.session_name": "default", "langsmith.trace.session_id": "p"}
    assert facts({KIND: "llm", **project}).session_id is None


def test_model_call_of_langchain(facts: Any) -> None:
    known = facts(
        {
            KIND: "llm",
            "langsmith.metadata.ls_provider": "google_genai",
            "langsmith.metadata.ls_model_name": "gemini-x",
            "langsmith.usage_metadata": '{"input_tokens": 3, "output_tokens": 4}',
            "gen_ai.completion": '{"generations":[[{"text":"Hello","type":"ChatGeneration"}]]}',
        }
    )
    assert (known.provider, known.model_requested) == ("gcp.gen_ai", "gemini-x")
    assert (known.input_tokens, known.output_tokens, known.output_text) == (3, 4, "Hello")


def test_tool_of_langchain(facts: Any) -> None:
    message = {"output": {"content": "12 degrees", "type": "tool", "tool_call_id": "1"}}
    known = facts(
        {
            KIND: "tool",
            "gen_ai.prompt": '{"input":"Ulm"}',
            "gen_ai.completion": json.dumps(message),
        }
    )
    assert (known.tool_arguments, known.tool_result) == ("Ulm", "12 degrees")


def test_the_exceptions_type_is_in_its_message(captured: Any, facts: Any) -> None:
    hotel = next(known for known in captured("langsmith") if known.failed)
    assert (hotel.error_type, hotel.error_message) == ("RuntimeError", "no rooms")
    event = {"exception": {"exception.type": "Exception", "exception.message": "plain words"}}
    known = facts({KIND: "tool"}, events=event, status=(2, ""))
    assert (known.error_type, known.error_message) == ("Exception", "plain words")
