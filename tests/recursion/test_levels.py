"""Parts, clusters, the window: what is looked at on each level, in which order, and what it brings."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from halo_otel.errors import Rejected
from halo_otel.model.finding import Severity
from halo_otel.recursion.deepen import deepen
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.plan import Kind, clusters_of
from halo_otel.recursion.talk.conversing import WINDOW
from tests.analysis.conftest import Traffic
from tests.llm.server import Reply, says, status
from tests.recursion.environments import environment_of
from tests.recursion.worlds import (
    HOLDS,
    Json,
    analyst,
    claims,
    is_second_look,
    masked,
    true_claim_of,
    world,
)


def is_part(request: Json) -> bool:
    return "You judge one part" in request["messages"][0]["content"]


def is_about_window(request: Json) -> bool:
    return "Task: the whole window" in request["messages"][1]["content"]


FINE = {
    "goal": "book a trip",
    "correctness": "ok",
    "latency": "ok",
    "resources": "ok",
    "problem": "",
    "quote": None,
}


def unexplained() -> Traffic:
    """Runs that fail without any error, as an evaluator says: some are not sure of what they did."""
    traffic = Traffic()
    for number in range(40):
        fails = number % 5 == 0
        run = traffic.run(outcome=None, session=f"s{number}")
        label = "fail" if fails else "pass"
        run.rows[0]["evaluations"] = json.dumps([{"name": "task_success", "label": label}])
        run.call("search", {"q": f"trip {number}"}, f"found offer_{1000 + number}")
        run.call("book", {"offer": f"offer_{1000 + number}"}, f"booked {number}")
        run.turn(output_text=f"It is {'perhaps' if fails else 'surely'} booked, {number}.")
    return traffic


@pytest.fixture(scope="module")
def failing() -> Iterator[Environment]:
    """The runs that fail without any error."""
    with environment_of(unexplained().rows, masked) as environment:
        yield environment


def unsure(environment: Environment) -> tuple[Json, Callable[[Json], Json]]:
    """The claim that unsure answers fail, and what is wrong with the part that is asked about."""
    shown = "select trace_id from spans where output like '%perhaps booked%'"
    trace, span, said = environment.rows(
        "select trace_id, span_id, output from spans where output like '%perhaps booked%'"
        " order by trace_id desc limit 1"  # another run than the one that stands for them
    )[0]
    claim = true_claim_of(shown, trace, span, said, environment) | {
        "statement": "The agent says that it is not sure of what it booked."
    }

    def part(request: Json) -> Json:
        told = request["messages"][-1]["content"]
        lines = [line for line in told.splitlines() if "perhaps booked" in line]
        if not lines:
            return FINE
        seen = json.loads(lines[0])
        quote = {"span_id": seen["span_id"], "field": "output", "text": "It is perhaps booked"}
        return {**FINE, "correctness": "bad", "problem": "It does not know.", "quote": quote}

    return claim, part


async def test_failed_runs_that_no_finding_names_become_a_finding(
    failing: Environment, tmp_path: Path
) -> None:
    tasks = [task for task in clusters_of(failing) if task.finding is None]
    assert tasks, [one.title for one in failing.report.findings]
    shown = "select trace_id from spans where output like '%perhaps booked%'"
    trace, span, said = failing.rows(
        "select trace_id, span_id, output from spans where output like '%perhaps booked%'"
        " order by trace_id limit 1"
    )[0]
    claim = {
        **true_claim_of(shown, trace, span, said, failing),
        "statement": "The agent says that it is not sure of what it booked.",
    }
    report = {"claims": [{"claim": claim, "category": "premature_end"}]}
    async with world(failing, analyst(report), tmp_path / "sent") as made:
        deepened = await deepen(made.tier)
    (found,) = (one for one in deepened.report.findings if one.tier == "model")
    assert found.category == "premature_end"
    assert found.severity is Severity.WARN
    assert len(found.traces) == 8
    assert found.evidence[0].span_id == span
    assert found.effect.value > 1


async def test_parts_are_judged_first_and_say_where_to_look(
    failing: Environment, tmp_path: Path
) -> None:
    """What was judged bad is told to the conversation, and stands as a place where the finding shows."""
    claim, part = unsure(failing)
    seen: list[str] = []

    def script(request: Json) -> Reply:
        if is_second_look(request):
            return says(HOLDS)
        if is_part(request):
            return says(json.dumps(part(request)))
        seen.append(request["messages"][1]["content"])
        return says(
            calls=(("report", {"claims": [{"claim": claim, "category": "premature_end"}]}),)
        )

    async with world(failing, script, tmp_path / "sent") as made:
        deepened = await deepen(made.tier)
    (found,) = (one for one in deepened.report.findings if one.tier == "model")
    assert any("It does not know." in text for text in seen)
    (place,) = (one for one in found.evidence if "judged" in one.note)
    assert "It is perhaps booked" in place.note
    assert "It does not know." not in str(found), "what nobody checked does not ship"


async def test_depth_bounds_what_is_looked_at(failing: Environment, tmp_path: Path) -> None:
    claim, part = unsure(failing)
    kinds: dict[int, set[str]] = {}
    for depth in range(4):
        kinds[depth] = set()

        def script(request: Json, kinds: set[str] = kinds[depth]) -> Reply:
            if is_second_look(request):
                return says(HOLDS)
            kinds.add("part" if is_part(request) else "cluster")
            if is_part(request):
                return says(json.dumps(part(request)))
            return says(calls=(("report", {"claims": []}),))

        async with world(failing, script, tmp_path / "sent", max_depth=depth) as made:
            await deepen(made.tier)
    assert kinds[0] == set()
    assert kinds[1] == {"cluster"}
    assert kinds[2] == kinds[3] == {"cluster", "part"}
    async with world(failing, analyst(claims(claim)), tmp_path / "sent", max_depth=0) as made:
        assert (await deepen(made.tier, "Why?")).answer, "a question is no deeper than the window"


def unjudged() -> Traffic:
    """Runs of which nobody knows how they ended; in one of five the agent is not sure."""
    traffic = Traffic()
    for number in range(40):
        run = traffic.run(outcome=None, session=f"s{number}")
        run.call("search", {"q": f"trip {number}"}, f"found offer_{1000 + number}")
        run.call("book", {"offer": f"offer_{1000 + number}"}, f"booked {number}")
        run.turn(output_text=f"It is perhaps booked, {number}.")
    return traffic


async def test_runs_of_unknown_outcome_cost_little_unless_something_is_wrong(
    tmp_path: Path,
) -> None:
    with environment_of(unjudged().rows, masked) as environment:
        (cluster,) = clusters_of(environment)
        assert cluster.kind is Kind.SAMPLED
        claim, part = unsure(environment)
        memory = Memory()

        def fine(request: Json) -> Reply:
            return says(json.dumps(FINE))

        async with world(environment, fine, tmp_path / "sent", memory) as made:
            deepened = await deepen(made.tier)
            assert [is_part(body) for body in made.server.bodies] == [True]
        assert deepened.report.findings == environment.report.findings
        async with world(environment, fine, tmp_path / "sent", memory) as made:
            await deepen(made.tier)
            assert made.server.requests == []

        def script(request: Json) -> Reply:
            if is_second_look(request):
                return says(HOLDS)
            if is_part(request):
                return says(json.dumps(part(request)))
            report = {
                "claims": [{"claim": {**claim, "contrast": None}, "category": "premature_end"}]
            }
            return says(calls=(("report", report),))

        async with world(environment, script, tmp_path / "sent") as made:
            deepened = await deepen(made.tier)
    (found,) = (one for one in deepened.report.findings if one.tier == "model")
    assert found.severity is Severity.INFO, "nothing shows that it matters"


def two_troubles() -> Traffic:
    """Two tools fail, each in runs of its own, with the same words."""
    traffic = Traffic()
    for number in range(60):
        tool = ("book", "pay", None)[number % 3]
        run = traffic.run(outcome=tool is None, session=f"s{number}")
        for name in ("search", "book", "pay"):
            error = "gateway_7 is unreachable" if name == tool else None
            run.call(name, {"q": f"{name} {number}"}, None if error else "done", error=error)
        run.turn(output_text="ended")
    return traffic


@pytest.fixture(scope="module")
def troubled() -> Iterator[Environment]:
    """The runs in which two tools fail."""
    with environment_of(two_troubles().rows, masked) as environment:
        yield environment


async def test_what_is_seen_only_together_becomes_a_finding_of_the_window(
    troubled: Environment, tmp_path: Path
) -> None:
    shown = "select trace_id from spans where error like '%gateway_7 is unreachable%'"
    trace, span, said = troubled.rows(
        "select trace_id, span_id, error from spans where error like '%gateway_7%'"
        " order by trace_id, step limit 1"
    )[0]
    common = true_claim_of(shown, trace, span, said, troubled) | {
        "statement": "Both tools fail with the words of one gateway.",
    }
    common["quotes"][0]["field"] = "error"
    single = common | {"statement": "The tool says that a gateway is unreachable."}
    windows: list[str] = []

    def script(request: Json) -> Reply:
        if is_second_look(request):
            return says(HOLDS)
        if is_about_window(request):
            windows.append(request["messages"][1]["content"])
            report = {"claims": [{"claim": common, "category": "cascade"}]}
            return says(calls=(("report", report),))
        return says(calls=(("report", claims(single)),))

    memory = Memory()
    async with world(troubled, script, tmp_path / "sent", memory) as made:
        deepened = await deepen(made.tier)
    assert len([one for one in clusters_of(troubled) if one.finding]) >= 2
    (told,) = windows
    assert told.count("The tool says that a gateway is unreachable.") >= 2
    (found,) = (one for one in deepened.report.findings if one.tier == "model")
    assert found.title == "Both tools fail with the words of one gateway."
    assert len(found.traces) == 40
    async with world(troubled, script, tmp_path / "sent", memory) as made:
        again = await deepen(made.tier)
        assert made.server.requests == []
    assert again.report.findings == deepened.report.findings
    assert WINDOW not in again.passed_over


async def test_a_run_that_dies_goes_on_where_it_was(troubled: Environment, tmp_path: Path) -> None:
    """The endpoint dies at each request in turn; nothing that was answered to the end is asked again."""
    memory = tmp_path / "answers.jsonl"
    asked: list[str] = []
    alive = [0]

    def script(request: Json) -> Reply:
        if not alive[0]:
            return status(401, "the key was withdrawn")
        alive[0] -= 1
        if is_second_look(request):
            return says(HOLDS)
        asked.append(request["messages"][1]["content"])
        return says(calls=(("report", {"claims": []}),))

    for lives in (1, 50):
        alive[0] = lives
        llm = {"parallelism": 1}
        async with world(troubled, script, tmp_path / "sent", Memory(memory), **llm) as made:
            if lives < 50:
                with pytest.raises(Rejected):
                    await deepen(made.tier)
            else:
                await deepen(made.tier)
    assert len(clusters_of(troubled)) >= 2
    assert len(asked) == len(set(asked)) == len(clusters_of(troubled))
