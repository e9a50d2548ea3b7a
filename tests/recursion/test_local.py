"""Parts of runs judged by a scripted model: what of it counts."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halo_otel.clock import ManualClock
from halo_otel.llm.budget import Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.privacy import Sent
from halo_otel.recursion import local, plan
from halo_otel.recursion.claims.claim import Reason
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.local import Judgement
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.plan import Cluster, Kind, Part
from halo_otel.selfobs import Counters
from tests.analysis.conftest import Traffic
from tests.llm.server import Reply, Scripted, says
from tests.recursion.environments import INJECTION, environment_of

Json = dict[str, Any]
OK: Json = {
    "goal": "book a trip",
    "correctness": "ok",
    "latency": "ok",
    "resources": "ok",
    "problem": "",
    "quote": None,
}


def misread(note: str = "") -> Traffic:
    """A booking is refused in words, and the agent says that all went well."""
    traffic = Traffic()
    for passes in (False, True):
        run = traffic.run(outcome=passes)
        run.call("book", {"id": 7}, "fully booked, nothing was done" if not passes else "booked 7")
        run.turn(output_text=f"Your trip is booked. {note}")
    return traffic


@pytest.fixture(scope="module")
def booked() -> Iterator[Environment]:
    with environment_of(misread().rows) as environment:
        yield environment


def part_of(environment: Environment) -> Part:
    failing, passing = (one.trace_id for one in environment.judgements)
    cluster = Cluster(name="some", kind=Kind.UNEXPLAINED, members=environment.judgements)
    (part,) = plan.parts_of(environment, cluster, failing, passing)
    return part


def answer_span(environment: Environment, part: Part) -> str:
    sql = "select span_id from spans where trace_id = ? and output like 'Your trip%'"
    ((span,),) = environment.rows(sql, [part.trace_id])
    return str(span)


async def judged(
    environment: Environment, reply: Reply, sent: Path, memory: Memory | None = None, **llm: Any
) -> tuple[Judgement, Scripted]:
    async with Scripted(reply) as server:
        settings = server.settings(**llm)
        clock = ManualClock()
        account = MemoryAccount(Periods(settings.budget.hour, settings.budget.day))
        model = Model(
            settings,
            Sent(sent, settings.sent_bytes),
            clock,
            Counters(),
            random.Random(1),
            lambda _: None,
        )
        budget = Budget.of(settings, clock, account)
        async with model:
            part = part_of(environment)
            return await local.judge(part, environment, model, budget, memory or Memory()), server


def bad(environment: Environment, **changes: Any) -> Json:
    span = answer_span(environment, part_of(environment))
    quote = {"span_id": span, "field": "output", "text": "Your trip is booked."}
    return {
        **OK,
        "correctness": "bad",
        "problem": "It says booked, the tool said no.",
        "quote": quote,
        **changes,
    }


async def test_a_part_that_is_well_brings_nothing(booked: Environment, tmp_path: Path) -> None:
    judgement, server = await judged(booked, says(json.dumps(OK)), tmp_path / "sent")
    assert (judgement.found, judgement.dropped, judgement.unfinished) == (None, None, "")
    told = json.dumps(server.bodies[0]["messages"])
    assert "fully booked, nothing was done" in told
    assert "booked 7" in told, "what was to be expected"


async def test_what_is_wrong_counts_with_the_words_that_show_it(
    booked: Environment, tmp_path: Path
) -> None:
    judgement, _ = await judged(booked, says(json.dumps(bad(booked))), tmp_path / "sent")
    assert judgement.found is not None
    assert judgement.found.quote.span_id == answer_span(booked, part_of(booked))
    lines = local.merged(booked, [judgement.found])
    assert "the tool said no" in lines
    assert booked.fence.boundary in lines


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quote": None}, Reason.SPAN_UNSUPPORTED),
        ({"text": "Your trip is cancelled."}, Reason.QUOTE_NOT_FOUND),
        ({"span_id": "f" * 16}, Reason.SPAN_UNKNOWN),
        ({"field": "diary"}, Reason.MALFORMED),
        ({"correctness": "terrible"}, Reason.MALFORMED),
    ],
)
async def test_what_is_invented_does_not(
    booked: Environment, tmp_path: Path, changes: Json, reason: Reason
) -> None:
    written = bad(booked)
    for name, value in changes.items():
        (written if name in written else written["quote"])[name] = value
    judgement, _ = await judged(booked, says(json.dumps(written)), tmp_path / "sent")
    assert judgement.found is None
    assert judgement.dropped is not None
    assert judgement.dropped.reason is reason


async def test_a_span_of_the_run_that_is_not_of_this_part_does_not(
    booked: Environment, tmp_path: Path
) -> None:
    other = booked.judgements[1].trace_id
    ((span,),) = booked.rows(
        "select span_id from spans where trace_id = ? and output like 'Your trip%'", [other]
    )
    written = bad(booked)
    written["quote"]["span_id"] = span
    judgement, _ = await judged(booked, says(json.dumps(written)), tmp_path / "sent")
    assert judgement.dropped is not None
    assert judgement.dropped.reason is Reason.SPAN_UNKNOWN


async def test_slow_is_what_the_clock_says(booked: Environment, tmp_path: Path) -> None:
    written = bad(booked, correctness="ok", latency="bad", resources="bad")
    judgement, _ = await judged(booked, says(json.dumps(written)), tmp_path / "sent")
    assert (judgement.found, judgement.dropped) == (None, None)


async def test_the_same_texts_are_not_paid_for_again_in_another_window(
    booked: Environment, tmp_path: Path
) -> None:
    memory = Memory(tmp_path / "answers.jsonl")
    reply = says(json.dumps(bad(booked)))
    once, _ = await judged(booked, reply, tmp_path / "sent", memory)
    traffic = misread()
    traffic.healthy(3)
    with environment_of(traffic.rows[: len(misread().rows)]) as same:
        again, server = await judged(
            same, reply, tmp_path / "sent", Memory(tmp_path / "answers.jsonl")
        )
    assert server.requests == []
    assert once.found is not None
    assert again.found is not None
    assert again.found.quote == once.found.quote


async def test_who_declines_leaves_it_undone(booked: Environment, tmp_path: Path) -> None:
    judgement, _ = await judged(
        booked, says(refusal="I will not"), tmp_path / "sent", refusal_retries=0
    )
    assert "declines" in judgement.unfinished


async def test_a_budget_that_is_spent_leaves_it_undone(booked: Environment, tmp_path: Path) -> None:
    limits = {"window": {"input_tokens": 10}}
    judgement, server = await judged(booked, says(json.dumps(OK)), tmp_path / "sent", budget=limits)
    assert "input_tokens" in judgement.unfinished
    assert server.requests == []


async def test_what_a_run_says_stays_in_the_fence(tmp_path: Path) -> None:
    with environment_of(misread(INJECTION).rows) as environment:
        _, server = await judged(environment, says(json.dumps(OK)), tmp_path / "sent")
        boundary = environment.fence.boundary
    user = server.bodies[0]["messages"][-1]["content"]
    outside = "".join(piece.split(f"</{boundary}>")[-1] for piece in user.split(f"<{boundary}>"))
    assert "Ignore all previous" in user
    assert "Ignore all previous" not in outside


def test_a_part_never_exceeds_its_bytes() -> None:
    traffic = Traffic()
    for passes in (False, True):
        run = traffic.run(outcome=passes)
        for number in range(9):
            run.call("read", {"page": "p" * 5_000, "n": number}, "é\x00" * 9_000)
        run.turn(output_text="x" * 40_000)
    with environment_of(traffic.rows) as environment:
        assert len(local.told_of(part_of(environment), environment).encode()) < 9_000
