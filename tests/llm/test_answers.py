"""Answers, tools and schemas, also of endpoints and models that have none or make mistakes."""

import asyncio
import json
from typing import Any

import pytest

from halo_otel.errors import (
    Refused,
)
from halo_otel.llm.conversation import (
    BadCall,
    Call,
    Message,
    Question,
)
from tests.llm.conftest import LOOK, VERDICT, Start
from tests.llm.server import Reply, says, status


async def test_a_conversation_with_tools(start: Start) -> None:
    script = [says(calls=(("look", {"trace": "t1"}), ("look", {"trace": "t2"}))), says("done")]
    async with start(*script) as tier:
        messages: tuple[Message, ...] = (Message.user("why?"),)
        answer = await tier.model.ask(Question(messages=messages, tools=(LOOK,)), tier.budget)
        assert [call.arguments for call in answer.calls if isinstance(call, Call)] == [
            {"trace": "t1"},
            {"trace": "t2"},
        ]
        results = [Message.result(call, "seen") for call in answer.calls]
        messages = (*messages, answer.message, *results)
        await tier.model.ask(Question(messages=messages, tools=(LOOK,)), tier.budget)
        _, said, one, two = tier.server.bodies[1]["messages"]
    assert [call["id"] for call in said["tool_calls"]] == ["call-0", "call-1"]
    assert said["tool_calls"][1]["function"] == {"name": "look", "arguments": '{"trace": "t2"}'}
    assert one == {"role": "tool", "content": "seen", "tool_call_id": "call-0"}
    assert two["tool_call_id"] == "call-1"


BAD_CALLS = [
    (("look", '{"trace": '), "must be one JSON object"),
    (("look", '["t1"]'), "must be one JSON object"),
    (("look", "[" * 100_000), "must be one JSON object"),
    (("drop table", "{}"), "There is no tool drop_table. The tools are: look."),
]


@pytest.mark.parametrize(("call", "problem"), BAD_CALLS)
@pytest.mark.parametrize("streams", [False, True])
async def test_a_call_that_cannot_be_carried_out_goes_back(
    call: tuple[str, str], problem: str, streams: bool, start: Start
) -> None:
    async with start(says(calls=(call,)), says("ok")) as tier:
        on_text = (lambda _: None) if streams else None
        answer = await tier.ask(tools=(LOOK,), on_text=on_text)
        [bad] = answer.calls
        assert isinstance(bad, BadCall)
        assert problem in bad.problem
        assert len(bad.problem) < 500
        messages = (Message.user("why?"), answer.message, Message.result(bad))
        await tier.model.ask(Question(messages=messages, tools=(LOOK,)), tier.budget)
        said, result = tier.server.bodies[1]["messages"][1:]
    # What would break an endpoint that reads it does not go back to it.
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {}
    assert problem in result["content"]
    assert tier.count("malformed_calls", role="model") == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"cause": "loop"}',
        'Sure:\n```json\n{"cause": "loop"}\n```\nDone.',
        '<think>{"cause": "no"}, or {x}</think>{"cause": "loop"}',
    ],
)
async def test_an_answer_with_a_schema_is_an_object(text: str, start: Start) -> None:
    async with start(says(text)) as tier:
        answer = await tier.ask(schema=VERDICT)
    assert (answer.value, answer.problem) == ({"cause": "loop"}, None)


@pytest.mark.parametrize(
    ("text", "finish", "problem"),
    [
        ("no idea", "stop", "not one JSON"),
        ("[1]", "stop", "not one"),
        ('{"cause": "lo', "length", "cut off"),
    ],
)
async def test_an_answer_without_the_object_says_why(
    text: str, finish: str, problem: str, start: Start
) -> None:
    async with start(says(text, finish=finish)) as tier:
        answer = await tier.ask(schema=VERDICT)
    assert answer.value is None
    assert problem in str(answer.problem)
    assert answer.is_cut == (finish == "length")


# How endpoints say that they lack something, and what is asked instead.
LACKS = [
    ("schema", 400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model"),
    ("schema", 400, "unknown field response_format"),
    ("tools", 400, "registry.ollama.ai/library/m does not support tools"),
    ("tools", 500, "tools param requires --jinja flag"),
    ("tools", 404, "No endpoints found that support tool use."),
    ("tools", 400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    ("output_limit", 400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
    ("temperature", 400, "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported."),
    ("effort", 400, "Unrecognized request argument supplied: reasoning_effort"),
]  # fmt: skip


@pytest.mark.parametrize(("feature", "code", "told"), LACKS)
async def test_what_an_endpoint_lacks_is_done_without(
    feature: str, code: int, told: str, start: Start
) -> None:
    script = [status(code, told), says('{"cause": "loop"}'), says('{"cause": "loop"}')]
    async with start(*script, temperature=0.5, reasoning_effort="low") as tier:
        for _ in range(2):
            answer = await tier.ask(tools=(LOOK,), schema=VERDICT)
            assert answer.value == {"cause": "loop"}
        first, second, third = tier.server.bodies
        assert tier.budget.spent.calls == 3
    assert second == third, "what was found out is remembered"
    gone = {key for key in first if first[key] != second.get(key)}
    expected = {
        "schema": {"response_format", "messages"},
        "tools": {"tools", "messages"},
        "output_limit": {"max_tokens"},
        "temperature": {"temperature"},
        "effort": {"reasoning_effort"},
    }
    assert gone == expected[feature]
    assert tier.count("fallbacks", feature=feature) == 1


async def test_a_schema_is_said_in_words_in_the_end(start: Start) -> None:
    lacks = status(400, "response_format is not supported")
    async with start(lacks, lacks, says('{"cause": "x"}')) as tier:
        assert (await tier.ask(schema=VERDICT)).value == {"cause": "x"}
        kinds = [(body.get("response_format") or {}).get("type") for body in tier.server.bodies]
        assert kinds == ["json_schema", "json_object", None]
        content = tier.server.bodies[2]["messages"][0]["content"]
    assert content.startswith("Be brief.")
    assert json.dumps(VERDICT.schema) in content


async def test_tools_in_words(start: Start) -> None:
    lacks = status(400, "this model does not support tools")
    protocol = {"calls": [{"tool": "look", "arguments": {"trace": "t1"}}, {"tool": "?"}]}
    script = [lacks, says(json.dumps(protocol)), says("done")]
    async with start(*script) as tier:
        messages: tuple[Message, ...] = (Message.user("why?"),)
        answer = await tier.model.ask(Question(messages=messages, tools=(LOOK,)), tier.budget)
        good, bad = answer.calls
        assert isinstance(good, Call)
        assert good.arguments == {"trace": "t1"}
        assert isinstance(bad, BadCall)
        messages = (*messages, answer.message, Message.result(good, "seen"), Message.result(bad))
        answer = await tier.model.ask(Question(messages=messages, tools=(LOOK,)), tier.budget)
        assert (answer.text, answer.calls) == ("done", ())
        system, user, said, results = tier.server.bodies[2]["messages"]
    assert "look" in system["content"]
    assert [each["role"] for each in (system, user, said, results)] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert json.loads(said["content"])["calls"][0] == protocol["calls"][0]
    assert "seen" in results["content"]
    assert "There is no tool" in results["content"]


async def test_two_that_find_out_at_once_lose_it_once(start: Start) -> None:
    """Otherwise a schema would fall from strict to words, over what the endpoint can do."""

    def script(body: Any) -> Reply:
        strict = (body.get("response_format") or {}).get("type") == "json_schema"
        return status(400, "json_schema is not supported") if strict else says("{}")

    async with start(script) as tier:
        await asyncio.gather(*(tier.ask(schema=VERDICT) for _ in range(3)))
        assert {(body.get("response_format") or {}).get("type") for body in tier.server.bodies} == {
            "json_schema",
            "json_object",
        }


@pytest.mark.parametrize(
    "reply",
    [
        says(None, refusal="I'm sorry, I can't help with that."),
        says("I'm sorry, but I can't assist with that request."),
        says("", finish="content_filter"),
    ],
)
async def test_a_refusal_is_asked_again_and_then_told(reply: Reply, start: Start) -> None:
    async with start(reply, says("because"), reply, reply, reply, refusal_retries=2) as tier:
        assert (await tier.ask()).text == "because"
        said, go_on = tier.server.bodies[1]["messages"][2:]
        assert said["role"] == "assistant"
        assert go_on["role"] == "user"
        with pytest.raises(Refused):
            await tier.ask()
        assert tier.server.left == 0
    assert tier.count("refusals", role="model") == 4


async def test_an_explanation_is_no_refusal(start: Start) -> None:
    text = "I can't assist with that, said the agent in 40 of 50 traces. " * 8
    async with start(says(text), says('{"cause": "I cannot help with that"}')) as tier:
        assert (await tier.ask()).text == text
        assert (await tier.ask(schema=VERDICT)).value
    assert tier.count("refusals", role="model") == 0


async def test_deltas(start: Start) -> None:
    heard: list[str | None] = []
    async with start(says("because it loops", calls=(("look", {"trace": "t"}),))) as tier:
        answer = await tier.ask(tools=(LOOK,), on_text=heard.append)
        [body] = tier.server.bodies
    assert (len(heard), "".join(map(str, heard))) == (3, "because it loops")
    assert answer.text == "because it loops"
    assert [call.arguments for call in answer.calls if isinstance(call, Call)] == [{"trace": "t"}]
    assert body["stream_options"] == {"include_usage": True}
    assert answer.spent.input_tokens == 20
