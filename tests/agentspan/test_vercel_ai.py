"""The Vercel AI SDK (conventions §2, §3b); version 5 as emitted is in `captured/vercel_ai_v5.json`."""

import json
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("ai.generateText", "agent"),
        ("ai.streamObject", "agent"),
        ("ai.streamText.doStream", "llm"),
        ("ai.generateObject.doGenerate", "llm"),
        ("ai.toolCall", "tool"),
        ("ai.embedMany", "embedding"),
        ("ai.embedMany.doEmbed", "embedding"),
        ("ai.somethingNew", "other"),
    ],
)
def test_kind(facts: Any, operation: Any, kind: Any) -> None:
    assert facts({"ai.operationId": operation}).kind == kind


def test_version_4(facts: Any) -> None:
    known = facts(
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.id": "claude-x",
            "ai.model.provider": "anthropic.messages",
            "ai.usage.promptTokens": 7,
            "ai.usage.completionTokens": 8,
            "ai.prompt.messages": '[{"role":"user","content":[{"type":"text","text":"Hi"}]}]',
            "ai.result.toolCalls": '[{"toolCallId":"1","toolName":"f","args":"{}"}]',
            "ai.finishReason": "tool-calls",
            "ai.response.msToFirstChunk": 12.5,
        }
    )
    assert (known.provider, known.model_requested) == ("anthropic", "claude-x")
    assert (known.input_tokens, known.output_tokens) == (7, 8)
    assert (known.input_text, known.output_text) == ("Hi", "f({})")
    assert (known.finish_reason, known.first_token_ms) == ("tool_call", 12.5)


def test_version_6_usage(facts: Any) -> None:
    known = facts(
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.usage.inputTokens": 9,
            "ai.usage.outputTokens": 4,
            "ai.usage.cachedInputTokens": 3,
            "ai.usage.reasoningTokens": 2,
            "ai.response.object": '{"a":1}',
            "ai.response.model": "m-1",
        }
    )
    assert (known.input_tokens, known.output_tokens) == (9, 4)
    assert (known.cache_read_tokens, known.reasoning_tokens) == (3, 2)
    assert (known.output_text, known.model_served) == ('{"a":1}', "m-1")


def test_version_7_step(facts: Any) -> None:
    known = facts({"gen_ai.operation.name": "agent_step"}, name="step 1", scope="gen_ai")
    assert known.kind == "chain"


def test_messages_that_are_tool_results(facts: Any) -> None:
    for key, value in (("result", "12"), ("output", {"type": "text", "value": "12"})):
        part = {"type": "tool-result", "toolCallId": "1", "toolName": "f", key: value}
        messages = json.dumps([{"role": "tool", "content": [part]}])
        known = facts(
            {"ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": messages}
        )
        assert known.input_text == "12"


def test_tools_offered_are_one_json_list(captured: Any) -> None:
    call = next(known for known in captured("vercel_ai_v5") if known.kind == "llm")
    assert [tool["name"] for tool in json.loads(call.tool_definitions)] == [
        "get_weather",
        "book_hotel",
    ]


@pytest.mark.parametrize(
    ("stated", "provider"),
    [
        ("openai.chat", "openai"),
        ("openai.responses", "openai"),
        ("google.generative-ai", "gcp.gemini"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("mistral.chat", "mistral_ai"),
        ("azure.ai.openai", "azure.ai.openai"),
    ],
)
def test_provider(facts: Any, stated: Any, provider: Any) -> None:
    assert facts({"ai.operationId": "ai.embed", "ai.model.provider": stated}).provider == provider


def test_version_7_tool_call(facts: Any) -> None:
    """Its only dialect is its scope: results are JSON, texts too."""
    known = facts(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.call.result": '"12 degrees"',
            "ai.settings.context.sessionId": "trip-7",
        },
        scope="gen_ai",
    )
    assert known.dialects == ("gen_ai", "vercel_ai")
    assert (known.tool_result, known.session_id) == ("12 degrees", "trip-7")
