"""Where it is asked, and what happens when it does not answer."""

import json
from email.utils import formatdate
from pathlib import Path

import pytest

from halo_otel.clock import NS_PER_S
from halo_otel.errors import (
    ConfigError,
    ContextTooLong,
    Refused,
    Rejected,
    Unreachable,
)
from halo_otel.llm.budget import Amount
from halo_otel.llm.conversation import (
    Message,
    Question,
)
from tests.llm.conftest import LOOK, VERDICT, Start, Tier
from tests.llm.server import MODEL, Reply, Scripted, says, status


def seconds(tier: Tier, since_ns: int) -> float:
    return (tier.clock.now_ns() - since_ns) / NS_PER_S


async def test_what_is_asked(start: Start) -> None:
    async with start(says("ok"), temperature=0.2, reasoning_effort="low") as tier:
        await tier.ask(tools=(LOOK,), schema=VERDICT, max_output_tokens=99)
        [body] = tier.server.bodies
    assert body["model"] == MODEL
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "why?"},
    ]
    assert body["tools"][0]["function"]["name"] == "look"
    assert body["response_format"]["json_schema"]["schema"] == VERDICT.schema
    assert (body["max_tokens"], body["temperature"], body["reasoning_effort"]) == (99, 0.2, "low")
    assert "stream" not in body


async def test_where_it_is_asked(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address's query goes along; variables that other hosts' keys stand in do not."""
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "hunter2")
    async with start(says("ok"), api_key="k-1", headers={"X-Team": "t"}) as tier:
        await tier.ask()
        [asked] = tier.server.requests
    assert asked.headers["authorization"] == "Bearer k-1"
    assert asked.headers["x-team"] == "t"
    assert "hunter2" not in str(asked)
    async with Scripted(says("ok")) as server:
        address = f"{server.settings().base_url}/deployments/d?api-version=1"
        tier = Tier(server, server.settings(base_url=address), tier.sent, tier.clock)
        async with tier.model:
            await tier.ask()
        [asked] = server.requests
    assert asked.path == "/v1/deployments/d/chat/completions?api-version=1"
    assert "authorization" not in asked.headers


async def test_a_rotated_key_goes_with_the_next_request(start: Start, tmp_path: Path) -> None:
    key, headers = tmp_path / "key", tmp_path / "headers.yaml"
    headers.write_text("X-Team: a", encoding="ascii")
    files = {"api_key_file": key, "headers_file": headers}
    async with start(*[says("ok")] * 3, api_key="old", **files) as tier:
        for text in ("one", "two\n", "no\x00key"):
            key.write_text(text, encoding="ascii")
            await tier.ask()
            headers.write_text("X-Team: b", encoding="ascii")
        asked = tier.server.requests
    told = [(one.headers["authorization"], one.headers["x-team"]) for one in asked]
    assert told == [("Bearer one", "a"), ("Bearer two", "b"), ("Bearer two", "b")]
    assert tier.counters.value("halo.llm.failed_reloads") == 1


async def test_a_header_of_their_own_stands_for_the_key(start: Start) -> None:
    async with start(says("ok"), api_key="k-1", headers={"authorization": "Basic x"}) as tier:
        await tier.ask()
        [asked] = tier.server.requests
    assert asked.headers["authorization"] == "Basic x"


async def test_roles_have_models(start: Start) -> None:
    script = [says("ok")] * 3
    async with start(*script, synthesis_model="big") as tier:
        for role in ("model", "synthesis", "compaction"):
            await tier.ask(role=role)
        assert [body["model"] for body in tier.server.bodies] == [MODEL, "big", MODEL]


@pytest.mark.parametrize(
    ("reply", "waits_s"),
    [
        (status(429, headers={"retry-after": "7"}), 7),
        (status(429, headers={"retry-after-ms": "2500"}), 2.5),
        (status(503, headers={"retry-after": formatdate(1_700_000_009, usegmt=True)}), 9),
        (status(429, headers={"retry-after": "soon"}), 0),
        (status(408), 0),
        (status(409), 0),
        (status(500), 0),
        (status(502), 0),
        (Reply(content=b"<html>"), 0),
        (Reply(content=b'{"choices": []}'), 0),
        (Reply(content=b'{"choices": [7]}'), 0),
        (Reply(content=b"{"), 0),
        (Reply(content=b'data: "\xff"\n\n', headers={"content-type": "text/event-stream"}), 0),
        (Reply(content=b'data: {"choi\n\n', headers={"content-type": "text/event-stream"}), 0),
        (Reply(content=b'{"error": {"code": 502, "message": "upstream"}}'), 0),
        (says("cut", cut=30), 0),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
async def test_what_fails_for_now_is_tried_again(
    reply: Reply, waits_s: float, streams: bool, start: Start
) -> None:
    heard: list[str | None] = []
    async with start(reply, says("because")) as tier:
        before_ns = tier.clock.now_ns()
        answer = await tier.ask(on_text=heard.append if streams else None)
        assert answer.text == "because"
        waited_s = seconds(tier, before_ns)
        assert waits_s <= waited_s <= waits_s + 1  # full jitter below the first bound
        assert tier.count("retries", role="model") == 1
        assert tier.budget.spent.calls == 2
    if streams:
        assert None in heard
        assert "".join(each or "" for each in heard[heard.index(None) :]) == "because"


async def test_waits_grow_and_are_drawn(start: Start) -> None:
    async with start(*[status(429)] * 6, retries=5) as tier:
        before_ns = tier.clock.now_ns()
        with pytest.raises(Unreachable, match=r"6 attempts failed.*HTTP 429"):
            await tier.ask()
        waited_s = seconds(tier, before_ns)
    assert 1 < waited_s < 1 + 2 + 4 + 8 + 16
    assert waited_s != round(waited_s)
    assert tier.budget.spent == Amount(calls=6)


async def test_an_endpoint_that_asks_for_too_long_a_wait_is_left(start: Start) -> None:
    async with start(status(429, headers={"retry-after": "3600"})) as tier:
        with pytest.raises(Unreachable, match="asks to wait 3600 s"):
            await tier.ask()


async def test_nobody_waits_beyond_the_time_of_the_window(start: Start) -> None:
    budget = {"window": {"time": "60s"}}
    async with start(status(429, headers={"retry-after": "60"}), budget=budget) as tier:
        with pytest.raises(Unreachable, match="time for this window"):
            await tier.ask()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("cut", [None, 250])
async def test_silence_ends_and_counts_whole(cut: int | None, streams: bool, start: Start) -> None:
    """Whether it never begins to answer or stops in the middle: what it generated nobody knows."""
    replies = [says("because of that", cut=cut, stall=True), says("because")]
    async with start(*replies, timeout=0.2) as tier:
        answer = await tier.ask(on_text=(lambda _: None) if streams else None)
        most = tier.model.preview(
            Question(messages=(Message.system("Be brief."), Message.user("why?")))
        )
    assert answer.text == "because"
    assert tier.count("failed_attempts", role="model", why="down") == 1
    assert tier.budget.spent.input_tokens > 20
    assert tier.budget.spent.output_tokens == most.output_tokens_max + 5


async def test_nobody_there(start: Start) -> None:
    async with start(base_url="http://127.0.0.1:9/v1", retries=1) as tier:
        with pytest.raises(Unreachable, match="2 attempts failed"):
            await tier.ask()
    assert tier.budget.spent == Amount(calls=2)


async def test_the_circuit_opens_and_closes(start: Start) -> None:
    async with start(*[status(500)] * 6, says("back"), says("again")) as tier:
        with pytest.raises(Unreachable, match="5 attempts failed"):
            await tier.ask()
        with pytest.raises(Unreachable, match="not asked for 60 s"):
            await tier.ask()
        assert len(tier.server.requests) == 5
        tier.clock.advance(60)
        with pytest.raises(Unreachable, match="not asked for"):  # one was let through, in vain
            await tier.ask()
        assert len(tier.server.requests) == 6
        tier.clock.advance(60)
        assert (await tier.ask()).text == "back"
        assert (await tier.ask()).text == "again"
    assert tier.budget.spent.calls == 8, "what never left cost nothing"


async def test_an_endpoint_that_is_busy_is_not_down(start: Start) -> None:
    async with start(*[status(429)] * 5, says("ok"), retries=5) as tier:
        assert (await tier.ask()).text == "ok"


TOO_LONG = [
    (status(400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000", code="context_length_exceeded"), 8192),
    (status(400, "the request exceeds the available context size", type="exceed_context_size_error", n_ctx=4096), None),
    (status(400, "max_tokens is too large: 5000. This model's maximum context length is 4096 tokens and your request has 90 input tokens"), 4096),
    (status(413, "Request body too big"), None),
    (status(429, "Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000."), 30000),
    (Reply(content=b'{"error": {"code": 400, "message": "prompt is too long: 9000 tokens"}}'), None),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "tokens"), TOO_LONG)
@pytest.mark.parametrize("streams", [False, True])
async def test_a_context_that_is_too_long_is_the_callers(
    reply: Reply, tokens: int | None, streams: bool, start: Start
) -> None:
    async with start(reply, retries=3) as tier:
        with pytest.raises(ContextTooLong) as refusal:
            await tier.ask(on_text=(lambda _: None) if streams else None)
        assert tier.server.left == 0
    assert refusal.value.tokens in (tokens, 4096)
    assert tier.budget.spent == Amount(calls=1)


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (status(401, "Incorrect API key provided: k-4711"), Rejected, r"provided: \[key\]"),
        (status(404, "The model `x` does not exist"), Rejected, "HTTP 404"),
        (status(402, "more credits"), Rejected, "402"),
        (
            status(429, "You exceeded your current quota", code="insufficient_quota"),
            Rejected,
            "quota",
        ),
        (status(400, "messages with role 'tool' must follow tool_calls"), Rejected, "HTTP 400"),
        (status(400, "filtered", code="content_filter"), Refused, "filtered"),
        (
            Reply(status=302, headers={"location": "http://127.0.0.1:9/"}, content=b""),
            Rejected,
            "302",
        ),
    ],
)
async def test_what_cannot_be_is_not_tried_again(
    reply: Reply, error: type[Exception], told: str, start: Start
) -> None:
    async with start(reply, api_key="k-4711") as tier:
        with pytest.raises(error, match=told) as refusal:
            await tier.ask(tools=(LOOK,))
        assert len(tier.server.requests) == 1
    assert "4711" not in str(refusal.value)
    assert tier.budget.spent == Amount(calls=1)


async def test_without_a_model_nothing_starts(start: Start) -> None:
    with pytest.raises(ConfigError, match=r"llm\.model is not set"):
        async with start(model=None) as tier:
            await tier.ask()


async def test_a_model_stops_twice_and_unstarted(start: Start) -> None:
    async with start(says("ok")) as tier:
        pass
    await tier.model.__aexit__(None, None, None)
    await Tier(tier.server, tier.settings, tier.sent, tier.clock).model.__aexit__(None, None, None)


@pytest.mark.parametrize("code", ["502", '"server_error"'])
async def test_an_error_in_the_middle_of_a_stream_counts_whole(code: str, start: Start) -> None:
    events = (
        'data: {"choices": [{"delta": {"content": "be"}}]}\n\n'
        f'data: {{"error": {{"code": {code}, "message": "upstream"}}}}\n\n'
    )
    broken = Reply(content=events.encode(), headers={"content-type": "text/event-stream"})
    heard: list[str | None] = []
    async with start(broken, says("because")) as tier:
        assert (await tier.ask(on_text=heard.append)).text == "because"
    assert heard == ["be", None, "because"]
    assert tier.budget.spent.output_tokens == 4096 + 5


async def test_an_endpoint_that_does_not_stream_is_heard_whole(start: Start) -> None:
    whole = {"choices": [{"message": {"content": "because"}, "finish_reason": "stop"}]}
    heard: list[str | None] = []
    async with start(Reply(content=json.dumps(whole).encode())) as tier:
        assert (await tier.ask(on_text=heard.append)).text == "because"
    assert heard == ["because"]
