"""Rules of conventions §7 that hold across dialects: sessions, cached tokens, generic keys."""

import json
from typing import Any

import pytest

SESSIONS = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "ai.telemetry.metadata.sessionId",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.conversation_id",
    "langsmith.metadata.session_id",
    "langsmith.metadata.thread_id",
    "langsmith.metadata.conversation_id",
    "metadata",
    "gcp.vertex.agent.session_id",
    "group_id",
)
EVERY_DIALECT = {
    "ai.operationId": "x",
    "traceloop.entity.path": "x",
    "langsmith.trace.id": "x",
    "openinference.span.kind": "AGENT",
    "logfire.msg": "x",
}


@pytest.mark.parametrize("first", range(len(SESSIONS)))
def test_sessions_are_believed_in_the_order_of_the_conventions(facts: Any, first: Any) -> None:
    known = {key: json.dumps({"session_id": key}) if key == "metadata" else key for key in SESSIONS}
    standing = {key: known[key] for key in SESSIONS[first:]}
    assert facts({**EVERY_DIALECT, **standing}).session_id == SESSIONS[first]


@pytest.mark.parametrize(
    ("provider", "model", "given", "read", "write", "rule"),
    [
        ("anthropic", "claude-x", 3, 900, 20, "beside"),
        ("anthropic", "claude-x", 1000, 900, 20, "inside"),
        ("aws.bedrock", "us.anthropic.claude-x", 3, 900, 0, "beside"),
        ("aws.bedrock", "amazon.nova", 3, 900, 0, "inside"),
        ("openai", "gpt-5", 3, 900, 0, "inside"),
        ("openai", "gpt-5", 3, 0, 0, None),
        ("openai", "gpt-5", None, 900, 0, None),
    ],
)
def test_cached_tokens_are_left_as_stated_and_the_rule_is_kept(
    facts: Any, provider: Any, model: Any, given: Any, read: Any, write: Any, rule: Any
) -> None:
    known = facts(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": given,
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_write.input_tokens": write,
        }
    )
    assert (known.input_tokens, known.cache_read_tokens) == (given, read)
    assert known.cache_accounting == rule


@pytest.mark.parametrize(
    "attributes",
    [
        {"openinference.span.kind": "CHAIN", "input.value": "{}", "output.value": "x"},
        {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.input": "{}",
            "traceloop.entity.output": "x",
        },
        {
            "langfuse.observation.type": "chain",
            "langfuse.observation.input": "{}",
            "langfuse.observation.output": "x",
        },
        {"mlflow.spanType": "CHAIN", "mlflow.spanInputs": "{}", "mlflow.spanOutputs": "x"},
    ],
)
def test_generic_content_is_a_tools_only_on_tool_spans(facts: Any, attributes: Any) -> None:
    known = facts(attributes)
    assert (known.kind, known.tool_arguments, known.tool_result) == ("chain", None, None)
    assert (known.input_text, known.output_text) == ("{}", "x")
