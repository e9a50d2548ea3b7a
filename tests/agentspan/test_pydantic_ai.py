"""Pydantic AI (conventions §2, §3b, §5); formats 2 and 6 as emitted are in `captured/`."""

import json
from typing import Any

SCOPE = "pydantic-ai"


def test_format_1(facts: Any) -> None:
    events = [
        {"event.name": "gen_ai.user.message", "role": "user", "content": "Hi"},
        {
            "event.name": "gen_ai.choice",
            "message": {"role": "assistant", "content": "Hello"},
        },
    ]
    agent = facts(
        {
            "agent_name": "greeter",
            "model_name": "gpt-5",
            "all_messages_events": json.dumps(events),
            "final_result": "Hello",
        },
        name="agent run",
        scope=SCOPE,
    )
    assert (agent.kind, agent.agent_name, agent.model_requested) == ("agent", "greeter", "gpt-5")
    assert (agent.input_text, agent.output_text) == ("Hi", "Hello")
    chat = facts({"gen_ai.operation.name": "chat", "events": json.dumps(events)}, scope=SCOPE)
    assert (chat.input_text, chat.output_text) == ("Hi", "Hello")
    assert facts({}, name="running 2 tools", scope=SCOPE).kind == "chain"


def test_format_1_tool(facts: Any) -> None:
    known = facts(
        {"tool_arguments": '{"n":1}', "tool_response": "one", "gen_ai.tool.name": "count"},
        name="running tool",
        scope=SCOPE,
    )
    assert (known.kind, known.tool_name) == ("tool", "count")
    assert (known.tool_arguments, known.tool_result) == ('{"n":1}', "one")
    assert facts({}, name="running tool", scope=SCOPE).kind == "tool"


def test_names_count_only_in_its_scope(facts: Any) -> None:
    assert facts({}, name="agent run").kind == "other"


def test_attempts(captured: Any, facts: Any) -> None:
    hotel = next(known for known in captured("pydantic_ai_v6") if known.tool_name == "book_hotel")
    assert hotel.retry_attempt == 1
    assert facts({"pydantic_ai.output.retry.attempt": 2}, scope=SCOPE).retry_attempt == 2
    assert facts({"pydantic_ai.model_request.attempt": 3}, scope=SCOPE).retry_attempt == 3


def test_redacted_tool_results_in_messages(facts: Any) -> None:
    part = {"type": "tool_call_response", "id": "1", "name": "f", "result": "<redacted>"}
    messages = json.dumps([{"role": "user", "parts": [part]}])
    known = facts({"gen_ai.operation.name": "chat", "gen_ai.input.messages": messages})
    assert known.input_text is None
