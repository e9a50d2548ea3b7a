"""Redundant calls, and repeats that have a reason."""

import pytest

from halo_otel.model.finding import Role
from tests.analysis.conftest import Run, Traffic, findings_in

SAME = {"user": 7}


def asked_again(run: Run, between: str | None = "search", answer: str = "Ada") -> Run:
    run.call("get_user", SAME, "Ada")
    if between is not None:
        run.call(between, {"q": [run.trace_id, len(run.rows)]}, "x")
    return run.call("get_user", SAME, answer)


def test_asking_again_for_the_same_is_redundant(traffic: Traffic) -> None:
    traffic.healthy(20)
    runs = [asked_again(asked_again(traffic.run())) for _ in range(10)]
    (found,) = findings_in(traffic, "redundant_call")
    assert found.subject.tool == "get_user"
    assert found.traces == tuple(run.trace_id for run in runs)
    assert [e.role for e in found.evidence[:2]] == [Role.CAUSE, Role.CONTRAST]


@pytest.mark.parametrize("between", ["update_user", "run_shell", "send_mail"])
def test_after_a_write_asking_again_is_reasonable(traffic: Traffic, between: str) -> None:
    traffic.healthy(20)
    for _ in range(10):
        asked_again(traffic.run(), between)
    assert not findings_in(traffic, "redundant_call")


def test_an_answer_that_changes_was_worth_asking(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(10):
        asked_again(traffic.run(), answer="Grace")
    assert not findings_in(traffic, "redundant_call")


def test_writing_twice_is_not_redundant_reading(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(10):
        traffic.run().call("send_mail", SAME, "sent").call("search", {}, "x").call(
            "send_mail", SAME, "sent"
        )
    assert not findings_in(traffic, "redundant_call")


def test_a_share_below_one_percent_of_the_work_is_not_worth_telling(traffic: Traffic) -> None:
    for _ in range(20):
        run = traffic.run()
        for step in range(60):
            run.call("search", {"q": f"{run.trace_id} {step}"}, f"{step}")
    for run in traffic.runs[:8]:
        asked_again(run, None)
    assert not findings_in(traffic, "redundant_call")
