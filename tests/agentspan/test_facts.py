"""Facts by dialect, with the key each was read from."""

import json
from typing import Any

import pytest

OI = "openinference.span.kind"
OP = "gen_ai.operation.name"


def test_gen_ai_current(facts: Any) -> None:
    said = [
        {"role": "user", "parts": [{"type": "text", "content": "Find flights"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "find", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "none"}]},
    ]
    answer = [
        {
            "role": "assistant",
            "finish_reason": "stop",
            "parts": [
                {"type": "reasoning", "content": "hidden"},
                {"type": "text", "content": "There are"},
                {"type": "text", "content": "no flights."},
            ],
        }
    ]
    known = facts(
        {
            OP: "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.conversation.id": "c1",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.response.model": "gpt-5-2026",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": "3",
            "gen_ai.usage.cache_read.input_tokens": 4.0,
            "gen_ai.usage.cache_write.input_tokens": 0,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "gen_ai.input.messages": json.dumps(said),
            "gen_ai.output.messages": json.dumps(answer),
            "gen_ai.prompt.version": "v7",
        }
    )
    assert known.session_id == "c1"
    assert (known.provider, known.model_requested, known.model_served) == (
        "openai",
        "gpt-5",
        "gpt-5-2026",
    )
    assert (known.input_tokens, known.output_tokens, known.reasoning_tokens) == (10, 3, 2)
    assert (known.cache_read_tokens, known.cache_write_tokens) == (4, 0)
    assert known.input_text == "Find flights"
    assert known.output_text == "There are\nno flights."
    assert known.finish_reason == "stop"
    assert known.prompt_version == "v7"
    assert known.cost is None
    assert known.sources["output_tokens"] == "gen_ai.usage.output_tokens"
    assert known.sources["input_text"] == "gen_ai.input.messages"


def test_structured_messages_are_read_like_json(facts: Any) -> None:
    messages = [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
    assert facts({OP: "chat", "gen_ai.input.messages": messages}).input_text == "hi"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            '[{"role":"assistant","parts":[{"type":"tool_call","name":"f","arguments":{"a":1}}]}]',
            'f({"a":1})',
        ),
        (
            '[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]',
            "f({})",
        ),
        ('[{"role":"assistant","parts":[]}]', None),
        ('{"args": [1]}', '{"args": [1]}'),  # what the normaliser copies there is no message
        ("plain", "plain"),
        ("[broken", "[broken"),
        ('"[{\\"role\\":\\"a\\",\\"content\\":\\"twice encoded\\"}]"', "twice encoded"),
    ],
)
def test_what_was_answered(facts: Any, value: Any, text: Any) -> None:
    assert facts({OP: "chat", "gen_ai.output.messages": value}).output_text == text


def test_model_call_that_was_given_only_tool_results(facts: Any) -> None:
    messages = [{"role": "tool", "parts": [{"type": "tool_call_response", "result": {"n": 1}}]}]
    assert facts({OP: "chat", "gen_ai.input.messages": messages}).input_text == '{"n":1}'


def test_gen_ai_before_1_27(facts: Any) -> None:
    known = facts(
        {
            "gen_ai.system": "az.ai.openai",
            "gen_ai.request.model": "gpt-4",
            "gen_ai.usage.prompt_tokens": 5,
            "gen_ai.usage.completion_tokens": 6,
            "gen_ai.response.finish_reasons": ["tool_calls", "stop"],
        },
        name="chat gpt-4",
        events={
            "gen_ai.content.prompt": {"gen_ai.prompt": '[{"role":"user","content":"old"}]'},
            "gen_ai.content.completion": {
                "gen_ai.completion": '[{"role":"assistant","content":"way"}]'
            },
        },
    )
    assert known.kind == "llm"
    assert known.provider == "azure.ai.openai"
    assert (known.input_tokens, known.output_tokens) == (5, 6)
    assert (known.input_text, known.output_text) == ("old", "way")
    assert known.finish_reason == "tool_call"
    assert known.sources["input_text"] == "event:gen_ai.content.prompt"


def test_strands_keeps_content_in_events(facts: Any) -> None:
    tool = facts(
        {
            OP: "execute_tool",
            "gen_ai.system": "strands-agents",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.id": "t1",
            "gen_ai.tool.status": "error",
        },
        events={
            "gen_ai.tool.message": {"role": "tool", "content": '{"city": "Ulm"}', "id": "t1"},
            "gen_ai.choice": {"message": '[{"text": "no such city"}]', "id": "t1"},
        },
    )
    assert (tool.tool_name, tool.tool_call_id) == ("weather", "t1")
    assert (tool.tool_arguments, tool.tool_result) == ('{"city": "Ulm"}', "no such city")
    assert (tool.error_source, tool.error_message) == ("protocol", "no such city")
    assert tool.provider is None  # a framework is not a provider
    chat = facts(
        {OP: "chat"},
        events={
            "gen_ai.user.message": {"content": '[{"text": "weather in Ulm?"}]'},
            "gen_ai.choice": {
                "finish_reason": "tool_use",
                "message": '[{"toolUse": {"name": "weather", "input": {"city": "Ulm"}}}]',
            },
        },
    )
    assert chat.input_text == "weather in Ulm?"
    assert chat.output_text == 'weather({"city":"Ulm"})'
    assert chat.finish_reason == "tool_call"


def test_openinference_model_call(facts: Any) -> None:
    prefix = "llm.input_messages"
    attributes = {
        OI: "LLM",
        "llm.model_name": "gpt-4o",
        "llm.provider": "aws",
        "llm.token_count.prompt": 7,
        "llm.token_count.completion": 8,
        "llm.token_count.prompt_details.cache_read": 1,
        "llm.cost.total": 0.25,
        "llm.finish_reason": "max_output_tokens",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "f",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"a":1}',
        "session.id": "s",
        "user.id": 42,
        "input.value": "raw",
    }
    for index in range(41):
        attributes[f"{prefix}.{index}.message.role"] = "user" if index == 37 else "tool"
        attributes[f"{prefix}.{index}.message.content"] = f"message {index}"
    known = facts(attributes)
    assert known.input_text == "message 37"
    assert known.output_text == 'f({"a":1})'
    assert (known.model_requested, known.model_served) == ("gpt-4o", "gpt-4o")
    assert known.provider == "aws.bedrock"
    assert (known.input_tokens, known.output_tokens, known.cache_read_tokens) == (7, 8, 1)
    assert known.cost == 0.25
    assert known.finish_reason == "length"
    assert (known.session_id, known.user_id) == ("s", "42")


def test_openinference_content_in_pieces(facts: Any) -> None:
    message = "llm.input_messages.0.message"
    known = facts(
        {
            OI: "LLM",
            f"{message}.role": "user",
            f"{message}.contents.0.message_content.type": "text",
            f"{message}.contents.0.message_content.text": "look",
            f"{message}.contents.1.message_content.type": "image",
            f"{message}.contents.2.message_content.type": "text",
            f"{message}.contents.2.message_content.text": "here",
        }
    )
    assert known.input_text == "look\nhere"


SCHEMA = '{"type":"object","properties":{"q":{"type":"string"}}}'


@pytest.mark.parametrize(
    ("attributes", "arguments", "source"),
    [
        ({"input.value": '{"q":1}', "tool.parameters": '{"q":2}'}, '{"q":1}', "input.value"),
        ({"input.value": "select 1", "tool.parameters": '{"q":2}'}, '{"q":2}', "tool.parameters"),
        ({"input.value": "select 1", "tool.parameters": SCHEMA}, "select 1", "input.value"),
        ({"tool.parameters": SCHEMA}, None, None),
        ({"input.value": {"q": [1, None]}}, '{"q":[1,null]}', "input.value"),
    ],
)
def test_openinference_tool_arguments(
    facts: Any, attributes: Any, arguments: Any, source: Any
) -> None:
    known = facts({OI: "TOOL", **attributes}, name="query")
    assert known.tool_name == "query"
    assert known.tool_arguments == arguments
    assert known.sources.get("tool_arguments") == source


@pytest.mark.parametrize(
    "hidden",
    [
        "",
        "  \n",
        "<REDACTED>",
        "__REDACTED__",
        " [redacted] ",
        "***",
        "<not specified>",
        "[Scrubbed due to 'password']",
    ],
)
def test_redacted_and_empty_payloads_are_unknown(facts: Any, hidden: Any) -> None:
    known = facts(
        {
            OP: "execute_tool",
            "gen_ai.tool.name": "t",
            "gen_ai.tool.call.id": hidden,
            "gen_ai.tool.call.arguments": hidden,
            "gen_ai.tool.call.result": hidden,
        }
    )
    assert (known.tool_call_id, known.tool_arguments, known.tool_result) == (None, None, None)
    assert (known.input_text, known.output_text) == (None, None)


def test_arguments_with_a_redacted_member_have_no_equal(facts: Any) -> None:
    attributes = {OP: "execute_tool", "gen_ai.tool.call.arguments": '{"id": "<redacted>", "n": 1}'}
    known = facts(attributes)
    assert known.tool_arguments is None
    assert known.input_text == '{"id": "<redacted>", "n": 1}'  # still worth reading


def test_empty_arguments_object_is_known(facts: Any) -> None:
    assert facts({OP: "execute_tool", "gen_ai.tool.call.arguments": "{}"}).tool_arguments == "{}"


def test_otel_comes_before_native_keys_and_is_never_added_to_them(facts: Any) -> None:
    known = facts({OI: "LLM", "llm.token_count.prompt": 9, "gen_ai.usage.input_tokens": 5})
    assert (known.input_tokens, known.sources["input_tokens"]) == (5, "gen_ai.usage.input_tokens")


def test_tool_facts_stand_on_tool_spans_only(facts: Any) -> None:
    known = facts({OI: "AGENT", "input.value": "{}", "output.value": "x", "tool.name": "t"})
    assert (known.tool_name, known.tool_arguments, known.tool_result) == (None, None, None)
    assert (known.input_text, known.output_text) == ("{}", "x")


@pytest.mark.parametrize(
    ("attributes", "name", "agent"),
    [
        ({OP: "invoke_agent", "gen_ai.agent.name": "writer"}, "x", "writer"),
        ({OP: "invoke_agent"}, "invoke_agent writer", "writer"),
        ({OI: "AGENT", "graph.node.id": "writer"}, "x", "writer"),
        ({OI: "AGENT"}, "CodeAgent.run", "CodeAgent"),
        ({OI: "LLM", "agent.name": "writer"}, "x", "writer"),
        ({OI: "LLM"}, "ChatCompletion", None),
        # The Collector's normaliser copies a tool's name there.
        ({OP: "execute_tool", "gen_ai.tool.name": "t", "gen_ai.agent.name": "t"}, "x", None),
    ],
)
def test_agent_name(facts: Any, attributes: Any, name: Any, agent: Any) -> None:
    assert facts(attributes, name=name).agent_name == agent


def test_session_in_langchain_metadata(facts: Any) -> None:
    known = facts({OI: "CHAIN", "metadata": '{"thread_id": "t-1", "x": 1}'})
    assert (known.session_id, known.sources["session_id"]) == ("t-1", "metadata")


@pytest.mark.parametrize("tokens", [-1, 1.5, True, "many", 2**63, float("nan"), None, [], "٣٤"])
def test_tokens_are_counts_or_unknown(facts: Any, tokens: Any) -> None:
    known = facts({OP: "chat", "gen_ai.usage.input_tokens": tokens})
    assert known.input_tokens is None or (tokens == "٣٤" and known.input_tokens == 34)
