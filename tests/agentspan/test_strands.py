"""AWS Strands (conventions §3c, §8.4 to 8.6); both settings as emitted are in `captured/`."""

import json
from typing import Any


def test_content_in_several_events_of_one_name(captured: Any) -> None:
    run = captured("strands_latest")
    chats = [known for known in run if known.kind == "llm"]
    assert [known.output_text for known in chats] == [
        'get_weather({"city":"Ulm"})',
        'book_hotel({"city":"Ulm"})',
        "It is 12 degrees in Ulm; no hotel.",
    ]


def test_arguments_and_result_in_detail_events_only(facts: Any) -> None:
    details = "gen_ai.client.inference.operation.details"
    call = {"type": "tool_call", "name": "f", "id": "1", "arguments": {"n": 1}}
    back = {"type": "tool_call_response", "id": "1", "response": [{"text": "one"}]}
    known = facts(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f"},
        scope="strands.telemetry.tracer",
        events=[
            (details, {"gen_ai.input.messages": json.dumps([{"role": "tool", "parts": [call]}])}),
            (details, {"gen_ai.output.messages": json.dumps([{"role": "tool", "parts": [back]}])}),
        ],
    )
    assert (known.tool_arguments, known.tool_result) == ('{"n":1}', "one")


def test_first_token_and_tools(captured: Any) -> None:
    run = captured("strands_default")
    tools = [tool["name"] for tool in json.loads(run[0].tool_definitions)]
    assert tools == ["get_weather", "book_hotel"]
    assert all(known.first_token_ms > 0 for known in run if known.kind == "llm")
    assert {known.provider for known in run} == {None}


def test_finish_reason_in_detail_events_only(captured: Any) -> None:
    reasons = [known.finish_reason for known in captured("strands_latest") if known.kind == "llm"]
    assert reasons == ["tool_call", "tool_call", "stop"]
