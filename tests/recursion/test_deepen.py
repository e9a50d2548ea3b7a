"""The model tier over one window: what a scripted model says, what ships, what it costs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from halo_otel.errors import Unreachable
from halo_otel.recursion.claims.claim import Reason
from halo_otel.recursion.deepen import Deepened, deepen
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.plan import clusters_of
from tests.llm.server import Reply, says, status
from tests.recursion.environments import INJECTION, bookings, environment_of
from tests.recursion.worlds import (
    HOLDS,
    Json,
    analyst,
    claims,
    is_second_look,
    masked,
    true_claim,
    world,
)


@pytest.fixture(scope="module")
def booked() -> Iterator[Environment]:
    """Runs of which ten fail because a date is wrong."""
    with environment_of(bookings().rows, masked) as environment:
        yield environment


async def test_true_claims_pass_and_explain_their_finding(
    booked: Environment, tmp_path: Path
) -> None:
    claim = true_claim(booked)
    async with world(booked, analyst(claims(claim)), tmp_path / "sent") as made:
        deepened = await deepen(made.tier)
    tasks = clusters_of(booked)
    assert tasks
    assert not deepened.dropped
    before = {one.fingerprint: one for one in booked.report.findings}
    for task in tasks:
        (after,) = (one for one in deepened.report.findings if one.fingerprint == task.name)
        assert claim["statement"] in after.full_summary
        assert claim["recommendation"] in after.full_recommendation
        assert after.severity is before[task.name].severity
        assert after.traces == before[task.name].traces
    usage = deepened.report.usage
    assert (usage.claims_checked, usage.claims_dropped) == (len(tasks), 0)
    assert usage.model_calls == len(made.server.requests) == 2 * len(tasks)


def lies(claim: Json, environment: Environment) -> dict[Reason, Json]:
    """`claim` made false in the ways in which models err."""
    elsewhere = dict(claim["spans"][0], span_id="f" * 16)
    count = claim["predicates"][0]["expected"]
    return {
        Reason.SPAN_UNKNOWN: {**claim, "spans": [elsewhere]},
        Reason.QUOTE_NOT_FOUND: {
            **claim,
            "quotes": [{**claim["quotes"][0], "text": "the database was on fire"}],
        },
        Reason.PREDICATE_FALSE: {
            **claim,
            "predicates": [{**claim["predicates"][0], "expected": count + 1}],
        },
        Reason.FIGURE_UNVERIFIED: {
            **claim,
            "statement": f"In {count * 7} runs the tool book refuses the date.",
        },
        Reason.CAUSE_WITHOUT_EDGE: {
            **claim,
            "statement": "The tool book fails because the model is tired.",
        },
        Reason.MALFORMED: {"statement": "All is well."},
    }


async def test_what_does_not_hold_does_not_ship(booked: Environment, tmp_path: Path) -> None:
    for reason, lie in lies(true_claim(booked), booked).items():
        async with world(booked, analyst(claims(lie)), tmp_path / "sent") as made:
            deepened = await deepen(made.tier)
        assert deepened.report.findings == booked.report.findings
        assert {one.reason for one in deepened.dropped} == {reason}
        assert deepened.report.usage.claims_dropped == len(clusters_of(booked))


async def test_a_claim_may_be_corrected_once(booked: Environment, tmp_path: Path) -> None:
    claim = true_claim(booked)
    wrong = lies(claim, booked)[Reason.PREDICATE_FALSE]
    seen = []

    def script(request: Json) -> Reply:
        if is_second_look(request):
            return says(HOLDS)
        told = request["messages"][-2]
        seen.append(told["content"])
        return says(calls=(("report", claims(claim if told["role"] == "tool" else wrong)),))

    async with world(booked, script, tmp_path / "sent") as made:
        deepened = await deepen(made.tier)
    assert not deepened.dropped
    assert any("predicate_false" in text for text in seen)
    assert any(claim["statement"] in one.full_summary for one in deepened.report.findings)


async def test_who_refutes_is_believed(booked: Environment, tmp_path: Path) -> None:
    verdict = json.dumps({"verdict": "refuted", "why": "the error is about something else"})
    script = analyst(claims(true_claim(booked)), verdict=verdict)
    async with world(booked, script, tmp_path / "sent") as made:
        deepened = await deepen(made.tier)
    assert deepened.report.findings == booked.report.findings
    assert {one.reason for one in deepened.dropped} == {Reason.REFUTED}


async def test_what_goes_on_is_not_paid_for_again(booked: Environment, tmp_path: Path) -> None:
    memory = tmp_path / "answers.jsonl"
    script = analyst(claims(true_claim(booked)))
    async with world(booked, script, tmp_path / "sent", Memory(memory)) as made:
        once = await deepen(made.tier)
    async with world(booked, script, tmp_path / "sent", Memory(memory)) as made:
        again = await deepen(made.tier)
        assert made.server.requests == []
    assert again.report.findings == once.report.findings
    assert again.report.usage.input_tokens == 0


async def test_looking_around_is_answered_and_ends(booked: Environment, tmp_path: Path) -> None:
    """A model that only ever looks is made to report, and what it asks wrongly is said to it."""

    def script(request: Json) -> Reply:
        return says(calls=(("query", {"sql": "select 1; drop table spans"}), ("nonsense", {})))

    async with world(booked, script, tmp_path / "sent") as made:
        deepened = await deepen(made.tier)
        bodies = made.server.bodies
    assert deepened.report.findings == booked.report.findings
    assert [cluster for cluster, _ in deepened.unfinished] == [t.name for t in clusters_of(booked)]
    assert len(bodies) <= made.tier.turns * len(clusters_of(booked))
    last = bodies[-1]
    assert [tool["function"]["name"] for tool in last["tools"]] == ["report"]
    replies = [m["content"] for m in last["messages"] if m["role"] == "tool"]
    assert any("exactly one" in text.lower() or "one select" in text.lower() for text in replies)
    assert any("nonsense" in text for text in replies)


async def test_the_budget_ends_it_and_the_report_stands(
    booked: Environment, tmp_path: Path
) -> None:
    limits = {"window": {"input_tokens": 30_000, "calls": 3}}
    script = analyst(claims(true_claim(booked)))
    async with world(booked, script, tmp_path / "sent", budget=limits) as made:
        deepened = await deepen(made.tier)
        assert len(made.server.requests) <= 3
    assert made.budget.spent.input_tokens <= 30_000
    assert {one.fingerprint for one in booked.report.findings} == {
        one.fingerprint for one in deepened.report.findings
    }


async def test_an_endpoint_that_is_down_is_an_error(booked: Environment, tmp_path: Path) -> None:
    async with world(booked, lambda _: status(500), tmp_path / "sent", retries=0) as made:
        with pytest.raises(Unreachable):
            await deepen(made.tier)


async def test_what_traces_say_leaves_in_a_fence_and_masked(tmp_path: Path) -> None:
    """An injection in a trace reaches the model as data; a card number does not reach it at all."""
    traffic = bookings()
    for run in traffic.runs[:5]:
        run.call("note", {"q": "x"}, f"{INJECTION} 5425 2334 3010 9903")
    with environment_of(traffic.rows, masked) as environment:

        def script(request: Json) -> Reply:
            if is_second_look(request):
                return says(HOLDS)
            asked = any(message["role"] == "tool" for message in request["messages"])
            if asked:
                return says(calls=(("report", {"claims": []}),))
            return says(calls=(("search", {"pattern": "Ignore all previous"}),))

        async with world(environment, script, tmp_path / "sent") as made:
            await deepen(made.tier)
            boundary = environment.fence.boundary
            replies = [
                message["content"]
                for body in made.server.bodies
                for message in body["messages"]
                if message["role"] == "tool"
            ]
            assert replies
            for reply in replies:
                inside = reply.split(f"<{boundary}>")[1].split(f"</{boundary}>")[0]
                assert "Ignore all previous" in inside
                assert reply.count("Ignore all previous") == inside.count("Ignore all previous")
            everything = b"".join(request.content for request in made.server.requests)
            assert b"2334 3010" not in everything


async def test_a_question_is_answered_with_what_holds(booked: Environment, tmp_path: Path) -> None:
    claim = true_claim(booked)
    script = analyst(claims(claim, lies(claim, booked)[Reason.QUOTE_NOT_FOUND]))
    async with world(booked, script, tmp_path / "sent") as made:
        deepened: Deepened = await deepen(made.tier, "Why do bookings fail?")
        assert "Why do bookings fail?" in json.dumps(made.server.bodies[0]["messages"])
    (answer,) = deepened.answer
    assert answer.verified.claim.statement == claim["statement"]


async def test_a_long_talk_becomes_notes(booked: Environment, tmp_path: Path) -> None:
    """The endpoint counts ever more tokens; before it is too much, old turns are taken together."""
    counted = [4_000]

    def script(request: Json) -> Reply:
        text = json.dumps(request["messages"])
        if "refute" in text:
            return says(HOLDS)
        if "Write notes" in text:
            return says("Notes: book fails in some runs.")
        if "Your notes" in text:
            return says(calls=(("report", claims(true_claim(booked))),))
        counted[0] += 8_000
        sql = f"select count(*) + {counted[0]} from spans"
        return says(calls=(("query", {"sql": sql}),), tokens=(counted[0], 20))

    budget = {"window": {"input_tokens": 10_000_000}}
    async with world(booked, script, tmp_path / "sent", budget=budget) as made:
        deepened = await deepen(made.tier)
        noted = [b for b in made.server.bodies if "Your notes" in json.dumps(b["messages"])]
    assert noted
    assert "Notes: book fails in some runs." in json.dumps(noted[0]["messages"])
    assert not deepened.unfinished


async def test_a_context_that_is_too_small_is_made_do_with(
    booked: Environment, tmp_path: Path
) -> None:
    """The endpoint takes no reply of a tool; the model is told that it is gone, and reports."""

    def script(request: Json) -> Reply:
        if is_second_look(request):
            return says(HOLDS)
        replies = [m for m in request["messages"] if m["role"] == "tool"]
        if any(len(reply["content"]) > 200 for reply in replies):
            return status(
                400, "maximum context length is 100 tokens", code="context_length_exceeded"
            )
        if replies:
            return says(calls=(("report", claims(true_claim(booked))),))
        return says(calls=(("overview", {}),))

    async with world(booked, script, tmp_path / "sent") as made:
        deepened = await deepen(made.tier)
    assert not deepened.unfinished
    assert any("refuses the date" in one.full_summary for one in deepened.report.findings)


async def test_what_is_left_is_told_before_each_turn(booked: Environment, tmp_path: Path) -> None:
    told: list[int] = []

    def script(request: Json) -> Reply:
        if is_second_look(request):
            return says(HOLDS)
        last = request["messages"][-1]["content"]
        if found := re.search(r"; ([\d,]+) tokens may still be sent", last):
            told.append(int(found[1].replace(",", "")))
        if "(turn" in last:
            return says(calls=(("overview", {}),), tokens=(3_000, 10))
        return says(calls=(("report", {"claims": []}),))

    async with world(booked, script, tmp_path / "sent", parallelism=1) as made:
        await deepen(made.tier, "Why?")
    half = made.settings.budget.window.input_tokens // 2
    assert told[:3] == [half - 3_000, half - 6_000, half - 9_000]
