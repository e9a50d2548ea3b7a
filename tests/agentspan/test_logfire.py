"""Logfire and the OpenAI Agents SDK through it (conventions §3b, §3d)."""

import json
from typing import Any

import pytest

AGENTS = "logfire.openai_agents"


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("OpenAI Agents trace: {name}", "chain"),
        ("Agent run: {name!r}", "agent"),
        ("Function: {name}", "tool"),
        ("Chat completion with {gen_ai.request.model!r}", "llm"),
        ("Responses API with {gen_ai.request.model!r}", "llm"),
        ("Guardrail {name!r} {triggered=}", "guardrail"),
        ("Handoff: {from_agent} → {to_agent}", "chain"),
        ("Turn {turn} for agent x", "chain"),
        ("Something else", "other"),
    ],
)
def test_kind(facts: Any, template: Any, kind: Any) -> None:
    assert facts({"logfire.msg_template": template}, scope=AGENTS).kind == kind
    assert facts({}, name=template, scope=AGENTS).kind == kind
    assert facts({"logfire.msg_template": template}, scope="logfire").kind == "other"


def test_model_call_of_the_openai_integration(facts: Any) -> None:
    known = facts(
        {
            "logfire.span_type": "span",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.system": "openai",
            "gen_ai.usage.input_tokens": 3,
            "gen_ai.usage.output_tokens": 4,
            "request_data": '{"messages":[{"role":"user","content":"Hi"}],"model":"gpt-5"}',
            "response_data": '{"message":{"role":"assistant","content":"Hello"},"usage":{}}',
            "operation.cost": 0.01,
        },
        name="Chat Completion with {request_data[model]!r}",
        scope="logfire.openai",
    )
    assert (known.kind, known.cost) == ("llm", 0.01)
    assert (known.input_text, known.output_text) == ("Hi", "Hello")


def test_null_is_unknown(facts: Any, captured: Any) -> None:
    assert {known.session_id for known in captured("openai_agents_logfire")} == {None}
    named = facts({"logfire.span_type": "span", "group_id": '"chat-1"'}, scope=AGENTS)
    assert named.session_id == "chat-1"


def test_level_error_is_a_failure(facts: Any) -> None:
    assert facts({"logfire.level_num": 17, "logfire.msg": "x"}).error_source == "protocol"
    assert not facts({"logfire.level_num": 13, "logfire.msg": "x"}).failed


def test_error_of_an_agents_function(captured: Any) -> None:
    hotel = next(
        known for known in captured("openai_agents_logfire") if known.tool_name == "book_hotel"
    )
    assert hotel.error_message == (
        "Error running tool (non-fatal): Tool execution failed. Error details are redacted."
    )


def test_what_a_response_said_or_called_is_the_last_event(facts: Any) -> None:
    asked = {"event.name": "gen_ai.user.message", "role": "user", "content": "Ulm?"}
    call = {"id": "c1", "function": {"name": "get_weather", "arguments": '{"city": "Ulm"}'}}
    called = {"event.name": "gen_ai.assistant.message", "role": "assistant", "tool_calls": [call]}
    said = {"event.name": "gen_ai.assistant.message", "role": "assistant", "content": "12 degrees"}

    def answer(*events: Any) -> Any:
        attributes = {
            "logfire.msg_template": "Responses API with {gen_ai.request.model!r}",
            "events": json.dumps(events),
        }
        return facts(attributes, scope=AGENTS).output_text

    assert answer(asked, called) == 'get_weather({"city": "Ulm"})'
    assert answer(asked, called, said) == "12 degrees"
    assert answer(asked) is None
    assert answer() is None
