"""Loops and retry storms, and everything that only looks like one."""

import pytest

from halo_otel.model.finding import Finding, Role, Severity
from tests.analysis.conftest import Run, Traffic, findings_in, one_each

SAME = {"q": "Oslo"}


def repeats(run: Run, times: int, result: str = "nothing found") -> Run:
    for _ in range(times):
        run.call("search", SAME, result)
    return run


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, [finding.title for finding in findings]
    return findings[0]


def test_identical_calls_with_identical_answers_are_a_loop(traffic: Traffic) -> None:
    traffic.healthy(40)
    looping = [repeats(traffic.run(outcome=False).call("book", {"id": 0}), 5) for _ in range(8)]
    loop = only(findings_in(traffic, "loop"))
    assert (loop.subject.service, loop.subject.agent, loop.subject.tool) == (
        "shop",
        "booker",
        "search",
    )
    assert loop.traces == tuple(run.trace_id for run in looping)
    assert (loop.impact.traces_affected, loop.impact.traces_exposed) == (8, 48)
    assert loop.impact.tokens_wasted == 8 * 4 * 100  # the turns of the four repeats
    assert loop.impact.seconds_wasted == pytest.approx(8 * 4 * 0.6)
    assert loop.severity is Severity.ERROR  # all loops failed, nothing else did
    assert loop.confidence >= 0.8
    assert loop.effect.ci[0] < 8 / 48 < loop.effect.ci[1]


def test_the_cause_is_the_first_repeat(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(4):
        repeats(traffic.run(), 4)
    loop = only(findings_in(traffic, "loop"))
    assert loop.root_cause is not None
    run = next(run for run in traffic.runs if run.trace_id == loop.root_cause.trace_id)
    calls = [row["span_id"] for row in run.rows if row["span_kind"] == "tool"]
    turns = [row["span_id"] for row in run.rows if row["span_kind"] == "llm"]
    assert loop.root_cause.span_id == calls[1]
    assert [(e.role, e.span_id) for e in loop.evidence[:3]] == [
        (Role.CAUSE, calls[1]),
        (Role.SYMPTOM, turns[1]),
        (Role.SYMPTOM, calls[3]),
    ]
    assert loop.evidence[0].resource == {"service.name": "shop"}


def test_periodic_loops_are_found_at_every_period(traffic: Traffic) -> None:
    for period in traffic.each(range(2, 7)):
        traffic.healthy(20)
        for _ in range(4):
            run = traffic.run()
            for _ in range(4):
                for step in range(period):
                    run.call(f"read_{step}", {"path": step}, "same")
    for period, loop in one_each(traffic, findings_in(traffic, "loop")):
        titled = {f"read_{i}" for i in range(period) if f"read_{i}" in loop.title}
        assert {"read_0", "read_1"} <= titled
        assert loop.impact.traces_affected == 4, period


def test_where_a_periodic_loop_is_entered_is_not_part_of_its_identity() -> None:
    names = ["read", "list"]
    fingerprints = []
    for entry in (names, names[::-1]):
        traffic = Traffic().healthy(20)
        for _ in range(4):
            run = traffic.run()
            for step in range(8):
                run.call(entry[step % 2], {"x": entry[step % 2]}, "same")
        fingerprints.append(only(findings_in(traffic, "loop")).fingerprint)
    assert fingerprints[0] == fingerprints[1]


def storm(
    traffic: Traffic, attempts: int, *, then: str | None = None, growing: bool = False
) -> None:
    for number in range(6):
        run = traffic.run()
        for attempt in range(attempts):
            run.call(
                "fetch",
                {"url": "x"},
                None,
                error=f"429 Too Many Requests: retry after {number + attempt} s",
                pause_ms=10 * 2**attempt if growing else 10,
            )
        if then is not None:
            run.call("fetch", {"url": "x"}, then)


def test_failed_attempts_are_a_retry_storm_and_not_a_loop(traffic: Traffic) -> None:
    for growing, _ in traffic.each([(True, "growing pauses"), (False, "no backoff")]):
        storm(traffic.healthy(20), 6, growing=growing)
    findings = findings_in(traffic, "retry_storm", "loop", "redundant_call")
    for (_, words), found in one_each(traffic, findings):
        assert found.category == "retry_storm"
        assert words in found.summary


def test_bounded_retries_are_no_storm(traffic: Traffic) -> None:
    storm(traffic.healthy(20), 3)
    assert not findings_in(traffic, "retry_storm", "loop")


def test_a_retry_that_works_is_no_storm(traffic: Traffic) -> None:
    storm(traffic.healthy(20), 5, then="page")
    assert not findings_in(traffic, "retry_storm", "loop")


def test_many_retries_are_a_storm_although_the_last_one_works(traffic: Traffic) -> None:
    storm(traffic.healthy(20), 9, then="page")
    assert only(findings_in(traffic, "retry_storm")).impact.traces_affected == 6


def polling(run: Run) -> None:
    for progress in range(6):
        run.call("poll_job", {"id": 7}, f'{{"progress": {progress * 20}}}')


def waiting_that_ends(run: Run) -> None:
    for _ in range(5):
        run.call("poll_job", {"id": 7}, '{"state": "pending"}')
    run.call("poll_job", {"id": 7}, '{"state": "done"}')


def progress_that_stalls_once(run: Run) -> None:
    for answer in ("1 of 4", "2 of 4", "3 of 4", "4 of 4", "4 of 4"):
        run.call("poll_job", {"id": 7}, answer)


def pagination(run: Run) -> None:
    for page in range(6):
        run.call("list_items", {"page": page}, f"items of {page}")


def batch_over_files(run: Run) -> None:
    for file in range(6):
        run.call("read_file", {"path": f"src/{file}.py"}, "import os")


def edit_and_test(run: Run) -> None:
    for cycle in range(5):
        run.call("edit_file", {"path": "a.py", "patch": f"try {cycle}"}, "ok")
        run.call("run_tests", {"target": "unit"}, f"{5 - cycle} failed in 0.3 s")


def searches_without_results(run: Run) -> None:
    for word in ("a", "b", "c", "d", "e"):
        run.call("search", {"q": word}, "no results")


def redacted_arguments(run: Run) -> None:
    for _ in range(6):
        run.call("search", {"q": "[REDACTED]"}, "no results")


def arguments_not_captured(run: Run) -> None:
    for _ in range(6):
        run.call("search", None, "no results")


def results_not_captured(run: Run) -> None:
    for _ in range(6):
        run.call("search", SAME, None)


def handoffs(run: Run) -> None:
    for _ in range(6):
        run.call("transfer_to_billing", {}, "ok")


def new_ids_each_time(run: Run) -> None:
    for number in range(6):
        run.call("make_id", {}, f"id {number:08x}ab")


HABITS = (
    polling,
    waiting_that_ends,
    progress_that_stalls_once,
    pagination,
    batch_over_files,
    edit_and_test,
    searches_without_results,
    redacted_arguments,
    arguments_not_captured,
    results_not_captured,
    handoffs,
    new_ids_each_time,
)


def test_healthy_repetition_is_silent(traffic: Traffic) -> None:
    for habit in traffic.each(HABITS):
        traffic.healthy(20)
        for _ in range(8):
            habit(traffic.run())
    assert not findings_in(traffic)


def test_what_most_successful_runs_repeat_is_a_habit(traffic: Traffic) -> None:
    for number in range(30):
        run = traffic.run()
        for _ in range(4 if number % 3 else 1):
            run.call("get_time", {}, "2026-11-20T10:00:00Z")
    assert not findings_in(traffic)


def test_a_call_recorded_by_agent_and_mcp_client_is_one_call(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(5):
        run = traffic.run()
        for _ in range(2):
            run.call("search", SAME, "x")
            inner = dict(run.span)
            inner |= {"span_id": f"f{inner['span_id']}"[:16], "parent_span_id": run.span["span_id"]}
            run.rows.append(inner)
    assert not findings_in(traffic, "loop")


def test_a_strong_loop_in_one_trace_of_many_is_only_information(traffic: Traffic) -> None:
    repeats(traffic.healthy(60).run(), 20)
    loop = only(findings_in(traffic, "loop"))
    assert loop.severity is Severity.INFO
    assert loop.confidence < 0.8


def test_a_short_loop_in_one_trace_of_many_is_not_told(traffic: Traffic) -> None:
    repeats(traffic.healthy(60).run(), 4)
    assert not findings_in(traffic, "loop")


def test_a_retriever_that_is_asked_the_same_loops_too(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(5):
        run = traffic.run()
        for _ in range(4):
            run.call("knowledge", None, None)
            run.span |= {
                "span_kind": "retriever",
                "input_text": "opening hours",
                "output_text": "[]",
            }
    assert only(findings_in(traffic, "loop")).subject.tool == "knowledge"
