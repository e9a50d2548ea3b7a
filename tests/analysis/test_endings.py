"""Runs that end too early or too late: at their limit, or with a part of the task open."""

from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.detectors.step_limit import cap
from tests.analysis.conftest import Run, Traffic, apart, findings_in, one_each

DONE = "All done, everything has been taken care of."


def answer(run: Run, text: str, **columns: object) -> Run:
    return run.turn(output_text=text, output_text_chars=len(text), finish_reason="stop", **columns)  # type: ignore[arg-type]


def works(run: Run, turns: int) -> Run:
    for place in range(turns):
        run.call("get_page", {"q": f"{run.trace_id} {place}"}, f"page {run.trace_id} {place}")
    return run


def test_runs_that_pile_up_at_one_number_of_steps_are_told(traffic: Traffic) -> None:
    for number in range(30):
        answer(works(traffic.run(), 2 + number % 8), "Here it is.")
    runs = [works(traffic.run(outcome=None), 12) for _ in range(8)]
    (found,) = findings_in(traffic, "step_limit")
    assert found.traces == tuple(run.trace_id for run in runs)
    assert "after 12 turns" in found.summary


def test_long_runs_that_end_with_an_answer_are_left_alone(traffic: Traffic) -> None:
    for number in range(40):
        answer(works(traffic.run(), 12 if number % 3 else 5), "Here it is.")
    assert not findings_in(traffic, "step_limit")


def test_runs_that_hand_in_their_answer_by_a_call_are_left_alone(traffic: Traffic) -> None:
    for number in range(60):
        works(traffic.run(), 4 + number % 6)
    assert not findings_in(traffic, "step_limit")


def test_a_fixed_course_is_no_limit(traffic: Traffic) -> None:
    for outcome in traffic.each([True, None]):
        for _ in range(30):
            works(traffic.run(outcome=outcome), 6)
    assert not findings_in(traffic, "step_limit")


STOPPED = (
    "Max turns (10) exceeded",
    "MaxTurnsExceeded: Max turns (10) exceeded",
    "GraphRecursionError: Recursion limit of 25 reached without hitting a stop condition.",
    "Agent stopped due to iteration limit or time limit.",
    "Reached the maximum number of steps.",
    "maximum iterations reached",
    "MaxStepsExceeded: the agent is stopped",
    "Agent stopped after the maximum of 12 steps.",
)


def test_runs_that_say_so_are_told(traffic: Traffic) -> None:
    for text in traffic.each(STOPPED):
        traffic.healthy(30)
        for number in range(6):
            works(traffic.run(outcome=None), 2 + number).turn(
                output_text=text, error_source="status", error_message=text
            )
            works(traffic.run(outcome=None), 2 + number).turn(
                output_text=text, output_text_chars=len(text)
            )
    calls = {row["span_id"] for row in traffic.rows if row["span_kind"] == "tool"}
    for text, found in one_each(traffic, findings_in(traffic, "step_limit")):
        assert len(found.traces) == 12, text
        assert found.root_cause is not None
        # What the run was at, not what says that it was stopped.
        assert found.root_cause.span_id in calls


@given(st.dictionaries(st.integers(1, 40), st.integers(1, 300)))
def test_a_cap_is_a_pile_that_almost_nothing_is_beyond(turns: dict[int, int]) -> None:
    found = cap(turns)
    if found is not None:
        assert turns[found] >= 5
        assert sum(n for value, n in turns.items() if value > found) <= 0.05 * turns[found]
        assert cap({**turns, found: turns[found] + 50}) == found
    assert cap({value: n for value, n in turns.items() if n < 5}) is None


def lost(run: Run, text: str, *, told: str | None = None) -> Run:
    run.call("issue_refund", {"o": run.trace_id}, None, error="HTTP 500")
    if told is not None:
        answer(run, told)
    run.call("send_mail", {"to": run.trace_id}, f"sent {run.trace_id}")
    return answer(run, text)


def test_a_failed_part_that_the_end_leaves_out_is_told(traffic: Traffic) -> None:
    traffic.healthy(20)
    runs = [lost(traffic.run(outcome=None), DONE) for _ in range(6)]
    (found,) = findings_in(traffic, "premature_end")
    assert found.traces == tuple(run.trace_id for run in runs)
    assert "issue_refund" in found.summary


TOLD = (
    ("The mail has been sent. The refund failed, I am sorry.", None),
    ("The mail has been sent, but the refund is still pending.", None),
    (DONE, "The refund could not be issued; shall I go on with the mail?"),
    ("Is it all done?", None),
)


def test_saying_what_could_not_be_done_is_in_order(traffic: Traffic) -> None:
    for text, told in traffic.each(TOLD):
        traffic.healthy(20)
        for _ in range(8):
            lost(traffic.run(), text, told=told)
    assert not findings_in(traffic, "premature_end")


def test_a_part_that_was_made_good_is_done(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run().call("issue_refund", {"o": run_id(traffic)}, None, error="HTTP 500")
        run.call("issue_refund", {"o": run_id(traffic)}, "ok").call("send_mail", {}, "sent")
        answer(run, DONE)
    assert not findings_in(traffic, "premature_end")


def run_id(traffic: Traffic) -> int:
    return len(traffic.runs)


def plans(run: Run, *states: str) -> Run:
    todos = [{"content": f"part {place}", "status": state} for place, state in enumerate(states)]
    return run.call("TodoWrite", {"todos": todos}, "saved")


def test_a_plan_with_parts_not_begun_is_told(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(6):
        run = plans(traffic.run(outcome=None), "in_progress", "pending", "pending")
        answer(plans(run, "completed", "pending", "pending"), DONE)
    (found,) = findings_in(traffic, "premature_end")
    assert "2 items" in found.summary


def test_a_plan_that_was_worked_off_is_done(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(6):
        run = plans(traffic.run(), "in_progress", "pending")
        answer(plans(run, "completed", "completed"), DONE)
    assert not findings_in(traffic, "premature_end")


def asked(run: Run, text: str, *orders: str) -> Run:
    run.rows[0] |= {"input_text": text, "input_text_chars": len(text)}
    for order in orders:
        run.call("cancel_order", {"order": order}, f"cancelled {order}")
    return answer(run, DONE)


def test_a_thing_of_the_task_that_no_call_is_about_is_told(traffic: Traffic) -> None:
    traffic.healthy(20)
    for number in range(6):
        ids = [f"ORD-{number}1{place}" for place in range(3)]
        asked(traffic.run(outcome=None), f"Please cancel {', '.join(ids)}.", *ids[:2])
    (found,) = findings_in(traffic, "premature_end")
    assert "ORD-" in found.summary


DONE_OR_OTHER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Cancel ORD-11 and ORD-12", ("ORD-11", "ORD-12")),
    ("Cancel ORD-11 of customer CUST-4711", ("ORD-11",)),
    ("I saw ORD-11 and ORD-12, what is new?", ()),
)


def test_tasks_that_are_done_or_name_other_things_are_left_alone(traffic: Traffic) -> None:
    for text, orders in traffic.each(DONE_OR_OTHER):
        traffic.healthy(20)
        for _ in range(8):
            asked(traffic.run(), text, *orders)
    assert not findings_in(traffic, "premature_end")


def test_arguments_that_are_unknown_may_be_about_anything(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run()
        text = "Cancel ORD-11 and ORD-12"
        run.rows[0] |= {"input_text": text, "input_text_chars": len(text)}
        run.call("cancel_order", {"order": "ORD-11"}, "ok").call("cancel_order", None, "ok")
        answer(run, DONE)
    assert not findings_in(traffic, "premature_end")


def test_a_plan_of_boxes_is_a_plan(traffic: Traffic) -> None:
    traffic.healthy(20)
    for number in range(12):
        run = traffic.run(outcome=None)
        box = "[x]" if number % 2 else "[ ]"
        run.call("update_plan", {"items": f"- [x] check\n- {box} change"}, "saved")
        answer(run, DONE)
    (found,) = findings_in(traffic, "premature_end")
    assert found.traces == tuple(run.trace_id for run in traffic.runs[20::2])


LISTED: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("ORD-11, ORD-12 and ORD-13 have been cancelled.", ("ORD-11", "ORD-12"), True),
    ("All three (a/ORD_11.x, a/ORD_12.x) have been changed.", ("a/ORD_11.x",), True),
    ("I've cancelled both ORD-11 and ORD-12.", ("ORD-11",), True),
    ("ORD-11, ORD-12 have been cancelled.", ("ORD-11", "ORD-12"), False),
    ("I found ORD-12 and ORD-13; ORD-11 has been cancelled.", ("ORD-11",), False),
    ("ORD-12 and ORD-13 have been cancelled.", (), False),  # perhaps by a call that names none
)


def test_an_answer_that_lists_what_no_call_was_about_is_told(traffic: Traffic) -> None:
    for said, orders, _ in traffic.each(LISTED):
        traffic.healthy(20)
        for _ in range(8):
            run = traffic.run(outcome=None).call("get_customer", {"name": "Ada"}, "a customer")
            for order in orders:
                run.call("cancel_order", {"order": order}, f"cancelled {order}")
            answer(run, said)
    for (said, _, told), found in apart(traffic, findings_in(traffic, "premature_end")):
        assert bool(found) is told, said


ONLY_PLANNED = (
    "I changed the state of order {} and sent the letter.",
    "Order {} is with the state B2 now.",
)


def test_a_change_that_was_only_planned_is_told(traffic: Traffic) -> None:
    for said in traffic.each(ONLY_PLANNED):
        traffic.healthy(20)
        for number in range(8):
            run = traffic.run(outcome=None)
            run.call("update_plan", {"items": "- [x] check\n- [ ] change"}, "saved")
            answer(run, said.format(number))
    for said, found in apart(traffic, findings_in(traffic, "premature_end")):
        assert found, said
