"""`map`: every group asked once, side by side, within the budget; its answers a table that claims may read."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from halo_otel.errors import Rejected
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.talk.groups import CELL_CHARS, GROUP_BYTES
from tests.llm.server import Json, Reply, says, status
from tests.recursion.environments import bookings, environment_of
from tests.recursion.maps import QUESTION, SQL, answer, data_of, head_of, honest, table_of

BAD, GOOD = 10, 20


async def test_each_group_is_answered_and_the_answers_are_a_table(mapping: Any) -> None:
    async with mapping(honest) as world:
        reply = await world.map()
        assert len(world.server.requests) == GOOD + BAD
        assert head_of(reply)["answers"] == {"no": GOOD, "yes": BAD}
        assert head_of(reply)["requests"] == GOOD + BAD
        sql = """
            select outcome, answer, count(*), sum(m.rows), count(quote), count(problem)
            from map m join traces on grp = trace_id group by all order by all"""
        assert world.table(sql, reply) == [
            ("failed", "yes", BAD, BAD, BAD, 0),
            ("passed", "no", GOOD, GOOD, 0, 0),
        ]


async def test_rows_with_the_same_first_column_are_one_group(mapping: Any) -> None:
    async with mapping(answer(3.5), answer(None)) as world:
        sql = "select failed, error, result from spans where tool = 'book' and is_call order by 1"
        reply = await world.map(sql=sql, answers=["number"])
        assert world.table("select grp, m.rows, typeof(answer) from map m order by 1", reply) == [
            ("false", GOOD, "DOUBLE"),
            ("true", BAD, "DOUBLE"),
        ]
        assert sorted(world.table("select answer, problem from map", reply), key=str) == [
            (3.5, None),
            (None, "the data does not tell"),
        ]
        assert head_of(reply)["unanswered"] == {"the data does not tell": 1}


async def test_as_many_are_in_flight_as_may_be(mapping: Any) -> None:
    parallelism = 8
    asked = 0
    together = asyncio.Event()

    def held(request: Json) -> Reply:
        nonlocal asked
        asked += 1
        if asked == parallelism:
            together.set()
        return answer("no", hold=together.wait)  # none is answered before all of them are asked

    async with mapping(held, parallelism=parallelism) as world:
        reply = await asyncio.wait_for(world.map(), 30)
        assert head_of(reply)["answers"] == {"no": GOOD + BAD}


async def test_equal_groups_are_asked_once_also_while_in_flight(
    mapping: Any, environment: Environment
) -> None:
    async with mapping(honest) as world:
        same = (
            "select trace_id, coalesce(left(error, 4), 'fine') as e from spans where tool = 'book'"
        )
        first, second = await asyncio.gather(
            world.map(sql=same), world.map(sql=same + " order by 1")
        )
        assert len(world.server.requests) == 2
        assert head_of(first)["groups"] == head_of(second)["groups"] == GOOD + BAD
        assert head_of(first)["requests"] + head_of(second)["requests"] == 2


async def test_what_was_answered_is_not_asked_again_after_a_restart(
    mapping: Any, tmp_path: Path
) -> None:
    with environment_of(bookings(GOOD, BAD).rows) as other:
        async with mapping(honest, memory=Memory(tmp_path / "answers")) as world:
            first = await world.map()
        async with mapping(honest, memory=Memory(tmp_path / "answers"), environment=other) as world:
            again = await world.map()
            assert (world.server.requests, table_of(again)) == ([], table_of(first))
            assert head_of(again)["requests"] == 0
            await world.map(question="Is it late?", sql=f"{SQL} limit 1")
            await world.map(answers=["yes", "no", "late"], sql=f"{SQL} limit 1")
            assert len(world.server.requests) == 2


@pytest.mark.parametrize(
    ("replies", "problem"),
    [
        ([answer("maybe"), answer("yes")], None),
        ([answer("maybe"), answer("YES")], "no valid answer: answer is one of"),
        ([says("yes"), says("Yes, it is.")], "no valid answer: The answer is not one JSON object"),
        ([says('{"answer": "yes"}'), says("[]")], "no valid answer"),
        ([answer("yes", "x" * 301), answer(True)], "no valid answer: answer is one of"),
        ([answer(["yes"]), answer({"yes": 1})], "no valid answer"),
        ([says('{"answer": "yes", "quote": null, "tables": []}'), answer("no")], None),
        ([says(refusal="I cannot."), says(refusal="No.")], "refused: the model declines"),
        ([status(400, "context length exceeded")], "contexttoolong"),
        ([status(400, "blocked by content_filter")], "refused"),
        ([status(429, "slow down", {"retry-after": "1"}), answer("yes")], None),
        ([status(500), answer("yes")], None),
    ],
)
async def test_an_answer_that_is_none_is_asked_for_once_more_and_then_told(
    mapping: Any, replies: list[Reply], problem: str | None
) -> None:
    async with mapping(*replies, answer("no")) as world:
        reply = await world.map(sql=f"{SQL} limit 1")
        ((value, why),) = world.table("select answer, problem from map", reply)
        assert len(world.server.requests) == len(replies)
        if problem is None:
            assert (value, why) == (json.loads(replies[-1].message["content"])["answer"], None)
        else:
            assert value is None
            assert why.startswith(problem)
            assert sum(head_of(reply)["unanswered"].values()) == 1
            again = await world.map(sql=f"{SQL} limit 1")  # nothing of it was remembered
            assert head_of(again)["answers"] == {"no": 1}


async def test_an_answer_of_another_kind_is_none(mapping: Any) -> None:
    for answers, values in (
        (["number"], ["3", True, float("nan"), float("inf"), [1]]),
        (["text"], ["", "x" * 201, 3, False]),
    ):
        async with mapping(*(answer(value) for value in values for _ in range(2))) as world:
            for _ in values:
                reply = await world.map(sql=f"{SQL} limit 1", answers=answers)
                assert head_of(reply)["unanswered"] == {"no valid answer": 1}
            assert world.server.left == 0


async def test_a_quote_that_does_not_stand_in_the_group_is_let_go(mapping: Any) -> None:
    def quotes(request: Json) -> Reply:
        text = "date  2024-13-0" if "2024-13-0" in data_of(request) else "never said"
        return answer("yes", text)

    async with mapping(quotes) as world:
        reply = await world.map()
        ((kept,),) = world.table("select count(quote) from map", reply)
        assert head_of(reply)["quotes_not_found"] == GOOD + BAD - kept
        assert 0 < kept < BAD
        assert world.table("select distinct quote from map where quote is not null", reply) == [
            ("date 2024-13-0",)
        ]


async def test_an_endpoint_that_is_gone_ends_it_and_the_answers_until_then_stand(
    mapping: Any,
) -> None:
    count = 0

    def dies(_: Json) -> Reply:
        nonlocal count
        count += 1
        return answer("no") if count <= 3 else status(503)

    async with mapping(dies, retries=0, parallelism=1) as world:
        reply = await world.map()
        assert head_of(reply)["answers"] == {"no": 3}
        assert head_of(reply)["unanswered"] == {"not asked": GOOD + BAD - 3}
        assert "llm.base_url" in head_of(reply)["not_asked_because"]


async def test_who_must_act_is_told_at_once(mapping: Any) -> None:
    async with mapping(lambda _: status(401, "bad key")) as world:
        with pytest.raises(Rejected):
            await world.map()


async def test_groups_beyond_the_limit_are_counted(mapping: Any) -> None:
    async with mapping(honest, groups_max=7) as world:
        reply = await world.map()
        assert (head_of(reply)["groups"], head_of(reply)["groups_left_out"]) == (7, GOOD + BAD - 7)
        first = [row[0] for row in world.tools.environment.database.ask(SQL, rows=7).rows]
        assert [row[0] for row in world.table("select grp from map", reply)] == first


async def test_more_rows_than_are_read_are_said(mapping: Any) -> None:
    many = "select i // 2 as grp, 'x' as text from range(60000) t(i) -- as is"
    async with mapping(lambda _: answer("no"), groups_max=5) as world:
        reply = await world.map(sql=many)
        assert head_of(reply)["groups_left_out"] == 30_000 - 5
        assert "more rows than are read" in head_of(reply)["rows_not_read"]


async def test_long_texts_and_groups_are_cut_and_the_sub_model_is_told(mapping: Any) -> None:
    sql = "select 1, repeat('y', 5000) as text, i from range(30) t(i)"
    async with mapping(lambda _: answer("no")) as world:
        await world.map(sql=sql)
        (request,) = world.server.bodies
        assert len(data_of(request).encode()) <= GROUP_BYTES
        assert f"(+{5000 - CELL_CHARS} characters)" in data_of(request)
        assert "of 30 shown" in data_of(request)


async def test_nothing_but_the_group_is_told(mapping: Any) -> None:
    async with mapping(honest) as world:
        await world.map()
        for request in world.server.bodies:
            said = json.dumps(request["messages"])
            assert not re.search(r"[0-9a-f]{32}", said), "the name of the group makes groups differ"
            assert "tools" not in request
            assert QUESTION in said


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"answers": ["yes"]}, "2 to 20 different labels"),
        ({"answers": []}, "2 to 20 different labels"),
        ({"answers": ["a", "a"]}, "2 to 20 different labels"),
        ({"answers": [str(n) for n in range(21)]}, "answers"),
        ({"answers": None}, "answers"),
        ({"question": ""}, "question"),
        ({"sql": "drop table spans"}, "SELECT"),
        ({"sql": "select trace_id from spans; select 1"}, "exactly one"),
        ({"sql": "select trace_id from spans"}, "two or more columns"),
        ({"sql": "select 1, 2 from map_00000000"}, "there is no table"),
        ({"more": 1}, "more"),
    ],
)
async def test_a_call_that_is_wrong_is_told_what_is_right(
    mapping: Any, changes: Json, told: str
) -> None:
    async with mapping(honest) as world:
        reply = await world.map(**changes)
        assert reply.failed
        assert told in reply.text
        assert world.server.requests == []


async def test_no_rows_are_no_table(mapping: Any) -> None:
    async with mapping(honest) as world:
        reply = await world.map(sql="select trace_id, name from spans where false")
        assert not reply.failed
        assert "table" not in head_of(reply)
