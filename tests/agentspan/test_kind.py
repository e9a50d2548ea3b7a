"""What a span does for its agent, and what must not be mistaken for it."""

from typing import Any

import pytest

OI = "openinference.span.kind"
OP = "gen_ai.operation.name"


@pytest.mark.parametrize(
    ("attributes", "name", "kind"),
    [
        ({OP: "chat"}, "chat gpt-4o", "llm"),
        ({OP: "execute_tool"}, "execute_tool x", "tool"),
        ({OP: "invoke_agent"}, "invoke_agent x", "agent"),
        ({OP: "invoke_workflow"}, "w", "chain"),
        ({OP: "retrieval"}, "r", "retriever"),
        ({OP: "embeddings"}, "e", "embedding"),
        ({OP: "search_memory"}, "m", "memory"),
        ({OI: "LLM"}, "x", "llm"),
        ({OI: "tool"}, "x", "tool"),
        ({OI: "RERANKER"}, "x", "retriever"),
        ({OI: "GUARDRAIL"}, "x", "guardrail"),
        ({OI: "EVALUATOR"}, "x", "evaluator"),
        ({OI: "UNKNOWN"}, "x", "other"),
        # OpenAI Agents' hand-offs are recorded as tools and are none.
        ({OI: "TOOL"}, "handoff to Billing", "chain"),
        # A native kind stands above the operation that a normaliser derived from it.
        ({OI: "CHAIN", OP: "invoke_agent"}, "x", "chain"),
        # A home-made operation says nothing; a tool's name, or model and tokens, do.
        ({OP: "catalog.search", "gen_ai.tool.name": "search"}, "x", "tool"),
        ({OP: "plan it", "gen_ai.request.model": "m", "gen_ai.usage.output_tokens": 3}, "x", "llm"),
        (
            {"tool.name": "t", "gen_ai.request.model": "m", "gen_ai.usage.output_tokens": 0},
            "x",
            "tool",
        ),
        # A provider alone is on tool and agent spans too.
        ({"gen_ai.provider.name": "openai"}, "x", "other"),
        ({"gen_ai.system": "strands-agents", "gen_ai.request.model": "m"}, "x", "other"),
        ({"gen_ai.provider.name": "openai", "gen_ai.tool.name": "t"}, "x", "tool"),
        # Names count only where the dialect is spoken.
        ({"gen_ai.agent.id": "1"}, "invoke_agent writer", "agent"),
        ({}, "chat room", "other"),
        ({"http.request.method": "GET"}, "GET /", "other"),
        ({"agent.name": "otlp/python"}, "x", "other"),
        ({OP: 7, OI: ["LLM"]}, "x", "other"),
    ],
)
def test_kind(facts: Any, attributes: Any, name: Any, kind: Any) -> None:
    assert facts(attributes, name=name).kind == kind


def test_one_mcp_call_seen_from_both_ends_is_one_tool_span(facts: Any) -> None:
    call = {"mcp.method.name": "tools/call", OP: "execute_tool"}
    client = facts(call, name="tools/call search", kind=3)
    server = facts(call, name="tools/call search", kind=2)
    assert (client.kind, client.tool_name) == ("tool", "search")
    assert (server.kind, server.tool_name) == ("chain", None)
    assert client.dialects == ("gen_ai", "mcp")
    sdk = facts({"mcp.method.name": "tools/call"}, name="MCP send tools/call search", kind=3)
    assert (sdk.kind, sdk.tool_name) == ("tool", "search")


def test_dialects_are_a_set(facts: Any) -> None:
    assert facts({OI: "LLM", OP: "chat"}).dialects == ("gen_ai", "openinference")
    assert facts({}, scope="openinference.instrumentation.langchain").dialects == ("openinference",)
    assert facts({}, events={"gen_ai.choice": {}}).dialects == ("gen_ai",)
    assert facts({"tool.name": "t"}).dialects == ()
