"""Redundant calls, and repeats that have a reason."""

import json

from halo_otel.model.finding import Role, Severity
from tests.analysis.conftest import Run, Traffic, apart, findings_in

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


def test_after_a_write_asking_again_is_reasonable(traffic: Traffic) -> None:
    for between in traffic.each(["update_user", "run_shell", "send_mail"]):
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


def asked_by_worker(run: Run, times: int, *, called: bool) -> None:
    """A worker is started, by calls of a lead or one after the other, and looks the user up each time."""
    root, start = run.rows[0], str(run.rows[0]["span_id"])
    root |= {"agent_name": "lead"} if called else {"agent_name": None, "span_kind": "chain"}
    for topic in range(times):
        above = start
        if called:
            run.call("ask_worker", {"topic": topic, "run": run.trace_id}, f"done {topic}")
            above = str(run.span["span_id"])
        worker = run._add("invoke_agent worker", "agent", parent=above, agent_name="worker", ms=0)
        for tool, arguments, answer in (
            ("get_user", {"user": run.trace_id}, "Ada"),
            ("search", {"q": f"{run.trace_id} {topic}"}, f"page {topic}"),
        ):
            run._add(
                f"execute_tool {tool}",
                "tool",
                parent=str(worker["span_id"]),
                ms=100,
                tool_name=tool,
                tool_arguments=json.dumps(arguments),
                tool_arguments_chars=len(json.dumps(arguments)),
                tool_result=answer,
                tool_result_chars=len(answer),
            )
        worker["end_ns"] = run.now_ns
        run.span["end_ns"] = run.now_ns


def test_an_agent_that_is_called_anew_knows_nothing(traffic: Traffic) -> None:
    """After a handoff and back an agent still has the conversation; one that is called begins a new one."""
    for called, _ in traffic.each([(True, 0), (False, 10)]):
        for number in range(40):
            run = traffic.run().call("plan", {"n": number}, "planned")
            asked_by_worker(run, 2 if number % 4 == 0 else 1, called=called)
    for (_, count), found in apart(traffic, findings_in(traffic, "redundant_call")):
        assert sum(one.impact.traces_affected for one in found) == count


def test_what_a_few_runs_pay_dearly_for_is_told(traffic: Traffic) -> None:
    """Five calls among a thousand, but each of them a sixth of its run."""
    traffic.healthy(200)
    for _ in range(5):
        asked_again(traffic.run())
        traffic.runs[-1].call("search", {"q": traffic.runs[-1].trace_id}, "x").turn()
    (found,) = findings_in(traffic, "redundant_call")
    assert found.severity is Severity.WARN
