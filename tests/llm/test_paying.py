"""What a request costs, what ends it, and the record of what left."""

import asyncio
import hashlib
import json
from typing import Any

import pytest

from halo_otel.errors import (
    BudgetExhausted,
    ConfigError,
    Unwritable,
)
from halo_otel.llm.budget import Amount, Budget
from halo_otel.llm.conversation import (
    Call,
    Message,
    Payload,
    Question,
)
from tests.llm.conftest import LOOK, Start, Tier
from tests.llm.server import MODEL, Reply, says, status


async def test_an_answer_and_what_it_costs(start: Start) -> None:
    async with start(says("because", tokens=(20, 5))) as tier:
        answer = await tier.ask()
    assert (answer.text, answer.calls, answer.problem, answer.is_cut) == (
        "because",
        (),
        None,
        False,
    )
    assert answer.model == MODEL
    # 20 tokens at 1 USD and 5 at 4 USD for a million.
    spent = Amount(input_tokens=20, output_tokens=5, cost_nano=40_000, calls=1)
    assert answer.spent == tier.budget.spent == spent
    assert tier.count("calls", role="model") == 1
    assert tier.count("tokens", direction="input", role="model") == 20
    assert tier.count("tokens", direction="output", role="model") == 5
    assert tier.count("cost", role="model") == pytest.approx(40e-6)


async def test_without_a_count_the_most_counts(start: Start) -> None:
    script = [says("a", tokens=None), status(400, "stream_options is not supported"), says("b")]
    async with start(*script) as tier:
        most = tier.model.preview(
            Question(messages=(Message.system("Be brief."), Message.user("why?")))
        )
        answer = await tier.ask()
        assert answer.spent.input_tokens == most.input_tokens_max
        assert answer.spent.output_tokens == most.output_tokens_max
        answer = await tier.ask(on_text=lambda _: None)  # streams, and cannot count then
        assert answer.spent.output_tokens == most.output_tokens_max
    assert tier.count("uncounted") == 2


@pytest.mark.parametrize(
    ("usage", "cost_nano"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 10}}, 35_000),
        ({"total_tokens": 30}, 60_000),  # thoughts that stand in the total only
        ({"cost": 0.5}, 500_000_000),
    ],
)
async def test_cost(usage: Any, cost_nano: int, start: Start) -> None:
    told = {"prompt_tokens": 20, "completion_tokens": 5, **usage}
    async with start(says("ok", usage=told, tokens=None)) as tier:
        assert (await tier.ask()).spent.cost_nano == cost_nano


async def test_a_price_of_ours_is_believed_first(start: Start) -> None:
    async with start(says("ok"), prices={MODEL: {"input": 100, "output": 0}}) as tier:
        assert (await tier.ask()).spent.cost == pytest.approx(0.002)


async def test_money_is_not_limited_where_prices_are_unknown(start: Start) -> None:
    budget = {"day": {"cost": 1}}
    with pytest.raises(ConfigError, match="what 'big' costs is not known"):
        async with start(synthesis_model="big", budget=budget):
            pass


async def test_the_budget_ends_it_before_anything_leaves(start: Start) -> None:
    budget = {"window": {"input_tokens": 100}}
    async with start(says("ok"), budget=budget) as tier:
        with pytest.raises(BudgetExhausted, match=r"llm\.budget\.window\.input_tokens"):
            await tier.ask()
        assert not tier.server.requests
        assert not tier.sent.exists()
    assert tier.count("budget_refusals", limit="llm.budget.window.input_tokens") == 1


async def test_endless_tool_calls_end_with_the_budget(start: Start) -> None:
    def endless(body: Any) -> Reply:
        return says(calls=(("look", {"trace": "t"}),), tokens=(50 * len(body["messages"]), 9))

    budget = {"window": {"input_tokens": 20_000}}
    async with start(endless, budget=budget) as tier:

        async def go_on(messages: tuple[Message, ...]) -> None:
            while True:
                question = Question(messages=messages, tools=(LOOK,))
                answer = await tier.model.ask(question, tier.budget)
                results = [Message.result(call, "seen") for call in answer.calls]
                messages = (*messages, answer.message, *results)

        with pytest.raises(BudgetExhausted):
            await go_on((Message.user("why?"),))
        assert tier.budget.spent.input_tokens <= 20_000
        assert tier.budget.spent.calls == len(tier.server.requests)
        assert len(tier.server.requests) > 15, "a bound by bytes alone would have ended it sooner"


async def test_no_more_requests_at_once_than_allowed(start: Start) -> None:
    here = asyncio.Semaphore(0)
    go_on = asyncio.Event()

    async def hold() -> None:
        here.release()
        await go_on.wait()

    async with start(lambda _: says("ok", hold=hold), parallelism=3) as tier:
        asked = asyncio.gather(*(tier.ask() for _ in range(10)))
        for _ in range(3):
            await here.acquire()
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(tier.server.requests) == 3
        go_on.set()
        await asked
        assert len(tier.server.requests) == 10


async def test_who_is_cancelled_pays_the_most(start: Start) -> None:
    here = asyncio.Event()

    async def hold() -> None:
        here.set()

    async with start(says("never", hold=hold, stall=True)) as tier:
        task = asyncio.ensure_future(tier.ask())
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert tier.budget.spent.output_tokens == 4096
    assert tier.budget.left.calls == tier.settings.budget.window.calls - 1


async def test_what_left_is_recorded(start: Start) -> None:
    async with start(status(500), says("ok"), payloads="full") as tier:
        content = ("Look: ", Payload(field="tool.result", text="12 rows"))
        question = Question(messages=(Message.user(*content),), role="synthesis")
        preview = tier.model.preview(question)
        await tier.model.ask(question, tier.budget)
        requests = tier.server.requests
    lines = [json.loads(line) for line in tier.sent.read_text("utf-8").splitlines()]
    assert [line["sha256"] for line in lines] == [
        hashlib.sha256(request.content).hexdigest() for request in requests
    ]
    assert [line["bytes"] for line in lines] == [len(request.content) for request in requests]
    assert [line["attempt"] for line in lines] == [1, 2]
    assert {line["role"] for line in lines} == {"synthesis"}
    assert lines[0]["fields"] == {"tool.result": 7}
    assert "12 rows" not in tier.sent.read_text("utf-8")
    assert preview.body == requests[0].content
    assert preview.fields == {"tool.result": 7}
    assert preview.input_tokens_estimated < preview.input_tokens_max
    assert preview.cost_max is not None


async def test_nothing_leaves_that_cannot_be_recorded(start: Start) -> None:
    async with start(says("ok")) as tier:
        tier.sent.mkdir()
        with pytest.raises(Unwritable, match="cannot record"):
            await tier.ask()
        assert not tier.server.requests
    assert tier.budget.spent == Amount()


async def test_secrets_do_not_leave(start: Start) -> None:
    key = "AKIA" + "QWERTZU7IPASDFGH"
    async with start(says("ok")) as tier:
        calls = (Call(id="c", tool="look", arguments={"trace": key, "n": 4539148803436467}),)
        content = (
            '{"password": "',
            Payload(field="a", text="hunter22"),
            f'"}} bo@shop.example {key}',
        )
        messages = (
            Message.user(*content),
            Message(author="assistant", calls=calls),
            Message.result(calls[0], "seen"),
        )
        await tier.model.ask(Question(messages=messages, tools=(LOOK,)), tier.budget)
        [request] = tier.server.requests
    for secret in (key, "hunter22", "bo@shop"):
        assert secret not in request.content.decode()
    assert tier.count("masked_values", kind="AWS access key") == 2
    assert tier.count("masked_values", kind="secret") == 1


async def test_many_children_at_once_never_overspend(start: Start) -> None:
    """Over real HTTP, with failures: what the server says it used is what is spent, to the token."""
    said = [0, 0]

    def script(body: Any) -> Reply:
        if len(said) % 5 == 4:
            said.append(0)
            return status(500)
        said.append(0)
        sent, written = len(json.dumps(body["messages"])) // 4, 30
        said[0] += sent
        said[1] += written
        return says("ok", tokens=(sent, written))

    async def question(budget: Budget, tier: Tier, depth: int) -> None:
        try:
            for number in range(3):
                messages = (Message.user(f"{depth}.{number} " * 20),)
                await tier.model.ask(Question(messages=messages), budget)
            children = [budget.child(budget.left.share(0.5)) for _ in range(3)]
            await asyncio.gather(*(question(child, tier, depth + 1) for child in children))
        except BudgetExhausted:
            pass

    budget = {"window": {"input_tokens": 9000, "output_tokens": 2000, "calls": 60}}
    async with start(script, budget=budget, max_output_tokens=100, max_depth=3) as tier:
        await question(tier.budget, tier, 0)
        spent = tier.budget.spent
        assert (spent.input_tokens, spent.output_tokens) == (said[0], said[1])
        assert spent.calls == len(tier.server.requests)
        assert spent.output_tokens <= 2000
        assert spent.calls <= 60
        assert spent.calls > 30
