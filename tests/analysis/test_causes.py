"""First failures, what falls after them, and what is told with what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.causality.causes import fisher
from halo_otel.model.finding import Finding, Role, Severity
from tests.analysis.conftest import Traffic, findings_in, one_each

SEARCH, BOOK, PAY = "search_flights", "reserve_seat", "charge_card"


def good(traffic: Traffic, runs: int) -> None:
    """Runs in which each call takes an id that the call before returned."""
    for n in range(runs):
        run = traffic.run()
        run.call(SEARCH, {"to": "Oslo"}, f'{{"flight":"fl-{n}01"}}')
        run.call(BOOK, {"flight": f"fl-{n}01"}, f'{{"booking":"bk-{n}02"}}')
        run.call(PAY, {"booking": f"bk-{n}02"}, "paid").turn()


def fallen(traffic: Traffic, runs: int, book: str, pay: str) -> None:
    for _ in range(runs):
        run = traffic.run(outcome=False)
        run.call(SEARCH, {"to": "Oslo"}, None, error="HTTP 503 from carrier")
        run.call(BOOK, {"flight": ""}, None, error=book)
        run.call(PAY, {"booking": ""}, None, error=pay)


def told(traffic: Traffic) -> list[Finding]:
    return [one for one in findings_in(traffic) if one.severity is not Severity.INFO]


FALLEN = (
    ("no result of search_flights", "no result of reserve_seat", "says so"),
    ("the previous step failed", "the previous step failed too", "says so"),
    ("flight is empty", "booking is empty", "takes what it returns"),
)


def test_a_cascade_is_one_finding(traffic: Traffic) -> None:
    for book, pay, _ in traffic.each(FALLEN):
        good(traffic, 40)
        fallen(traffic, 8, book, pay)
    first = {row["span_id"] for row in traffic.rows if row.get("tool_name") == SEARCH}
    for (_, _, edge), one in one_each(traffic, told(traffic)):
        assert one.category == "cascade"
        assert one.subject.tool == SEARCH
        assert one.root_cause is not None
        assert edge in one.root_cause.why
        assert one.root_cause.span_id in first
        assert one.summary.count("It explains") == 3  # the three errors are told here


def test_what_only_ever_runs_in_failed_runs_falls_of_an_empty_value_too(traffic: Traffic) -> None:
    for empty in traffic.each(["", "None"]):
        said = f"job {empty or 'id'} is null or empty"
        traffic.healthy(40)
        for _ in range(8):
            run = traffic.run(outcome=None)
            run.call("start_export", {"to": "Oslo"}, None, error="HTTP 503 quota is used up")
            run.call("job_state", {"job": empty}, None, error=said)
            run.call("publish_page", {"page": 4}, None, error="the page has no export yet").turn()
    for _, one in one_each(traffic, told(traffic)):
        assert (one.category, one.subject.tool) == ("cascade", "start_export")
        assert one.root_cause is not None
        assert "empty value" in one.root_cause.why


def test_an_empty_option_is_no_edge(traffic: Traffic) -> None:
    traffic.healthy(40)
    for _ in range(8):
        run = traffic.run(outcome=None)
        run.call("get_order", {"id": 4}, None, error="HTTP 503 from shop")
        run.call("find_user", {"filter": ""}, None, error="HTTP 502 from directory")
        run.call("update_order", {"id": 4}, None, error="order not found").turn()
    assert not findings_in(traffic, "cascade")


def test_failures_that_were_made_good_are_no_cascade(traffic: Traffic) -> None:
    good(traffic, 40)
    for n in range(8):
        run = traffic.run()
        for tool in (SEARCH, BOOK, PAY):
            run.call(tool, {"n": n}, None, error=f"HTTP 503 from {tool} backend")
            run.call(tool, {"n": n}, f"fine {n}")
    assert not findings_in(traffic, "cascade")


def test_failures_without_an_edge_are_no_cascade(traffic: Traffic) -> None:
    for n in range(60):
        run = traffic.run(outcome=None)
        for place, tool in enumerate(("alpha", "beta", "gamma")):
            lost = hash((n * 7 + place * 3) % 5) == 0
            run.call(tool, {"n": n}, None if lost else "fine", error=f"no {tool}" if lost else None)
    assert not findings_in(traffic, "cascade")


def test_one_outage_that_many_tools_meet_is_no_cascade(traffic: Traffic) -> None:
    traffic.healthy(30)
    for n in range(60):
        run = traffic.run(outcome=n % 5 != 0)
        for tool in ("alpha", "beta", "gamma"):
            down = n % 5 == 0
            run.call(
                tool, {"n": n}, None if down else "ok", error="HTTP 503 db down" if down else None
            )
    assert not findings_in(traffic, "cascade")


def test_what_fails_wherever_another_failed_falls_of_it(traffic: Traffic) -> None:
    for n in range(60):
        down = n % 6 == 0
        run = traffic.run(outcome=not down)
        for tool in ("alpha", "beta", "gamma"):
            run.call(
                tool, {"n": n}, None if down else f"{n}", error=f"{tool} gave up" if down else None
            )
    (one,) = told(traffic)
    assert (one.category, one.subject.tool) == ("cascade", "alpha")
    assert "wherever" in one.summary


def test_an_error_next_to_a_cascade_stays_a_finding(traffic: Traffic) -> None:
    good(traffic, 60)
    fallen(traffic, 6, "no result of search_flights", "no result of reserve_seat")
    for _ in range(12):
        traffic.run(outcome=False).call(SEARCH, {"to": "x"}, None, error="HTTP 503 from carrier")
    assert {one.category for one in told(traffic)} == {"cascade", "error"}


BLAMED = (
    ("customer not found", "search", "llm"),
    ("no such order", "search", "llm"),
    ("Traceback: NameError x", "run_python", "llm"),
    ("HTTP 503 unavailable", "search", "tool"),
    ("request timed out: invalid state", "search", "tool"),
    ("boom", "search", "tool"),
)


def test_the_turn_is_blamed_for_what_it_asked(traffic: Traffic) -> None:
    for error, tool, _ in traffic.each(BLAMED):
        traffic.healthy(30)
        for n in range(6):
            traffic.run(outcome=False).call(tool, {"q": f"trip {n}"}, None, error=error)
    kinds = {row["span_id"]: row["span_kind"] for row in traffic.rows}
    for (error, _, blamed), one in one_each(traffic, findings_in(traffic, "error")):
        assert one.root_cause is not None
        assert kinds[one.root_cause.span_id] == blamed, error
        assert {kinds[spot.span_id] for spot in one.evidence} == {"llm", "tool"}


def swallowing(traffic: Traffic, runs: int, *, outcome: bool, fallback: bool) -> None:
    for n in range(runs):
        run = traffic.run(outcome=outcome).call("save_order", {"n": n}, "ok")
        call = str(run.span["span_id"])
        run.child(call, "INSERT orders", error="disk full")
        if fallback:
            run.child(call, "INSERT orders")
        run.turn()


def test_what_a_worker_meets_inside_a_delegation_is_its_own_business(traffic: Traffic) -> None:
    saved(traffic, 60)
    for n in range(8):
        run = traffic.run(outcome=False).call("save_order", {"n": n}, "ok")
        worker = run.child(str(run.span["span_id"]), "invoke_agent worker").rows[-1]
        worker |= {"span_kind": "agent", "agent_name": "worker"}
        run.child(str(worker["span_id"]), "execute_tool look", error="not there")
        run.rows[-1] |= {"span_kind": "tool", "tool_name": "look"}
    assert not findings_in(traffic, "swallowed_error")


def saved(traffic: Traffic, runs: int) -> None:
    for n in range(runs):
        run = traffic.run().call("save_order", {"n": n}, "ok")
        run.child(str(run.span["span_id"]), "INSERT orders")
        run.turn()


def test_a_swallowed_error_is_told_with_the_error_inside_it(traffic: Traffic) -> None:
    saved(traffic, 60)
    swallowing(traffic, 8, outcome=False, fallback=False)
    (one,) = told(traffic)
    assert (one.category, one.subject.tool) == ("swallowed_error", "save_order")
    assert [spot.role for spot in one.evidence[:2]] == [Role.CAUSE, Role.SYMPTOM]


def test_inner_errors_that_do_no_harm_or_are_made_good_are_not_swallowed(traffic: Traffic) -> None:
    for outcome, fallback in traffic.each([(True, False), (True, True), (False, True)]):
        saved(traffic, 60)
        swallowing(traffic, 8, outcome=outcome, fallback=fallback)
    assert not findings_in(traffic, "swallowed_error")


def looked_up(traffic: Traffic, runs: int, result: str, *, error: str | None) -> None:
    for n in range(runs):
        run = traffic.run(outcome=None).call("find_order", {"n": n}, result)
        run.child(str(run.span["span_id"]), "SELECT orders", error=error)
        run.turn()


NOTHING = (
    '{"status": "ok", "rows": [], "page": 1, "more": false}',
    "[]",
    "rows:\npage: 1\nmore: False",
    "- **rows**: \n- **page**: 1\n- **more**: False",
    '[{"text": "{\\"order\\": null}"}]',
    "No matching records found.",
)
TRUE_OR_FULL = (
    ('{"rows": []}', "HTTP 404 Not Found"),
    ('{"rows": [{"id": 7}], "warnings": []}', "could not connect to server"),
    ('{"id": "ord-7", "note": null}', "could not connect to server"),
    ("{}", "could not connect to server"),
    ("saved", "could not connect to server"),
)


def test_nothing_found_by_a_call_that_could_not_look_is_swallowed(traffic: Traffic) -> None:
    for result in traffic.each(NOTHING):
        looked_up(traffic, 60, '{"rows": [{"id": 7}]}', error=None)
        looked_up(traffic, 8, result, error="could not connect to server")
    for _, one in one_each(traffic, told(traffic)):
        assert (one.category, one.subject.tool) == ("swallowed_error", "find_order")
        assert "there is nothing" in one.summary


def test_answers_that_are_true_or_full_are_not_swallowed(traffic: Traffic) -> None:
    for result, error in traffic.each(TRUE_OR_FULL):
        looked_up(traffic, 60, '{"rows": [{"id": 7}]}', error=None)
        looked_up(traffic, 8, result, error=error)
    assert not findings_in(traffic, "swallowed_error")


def refunds(traffic: Traffic, runs: int, *, check: bool, outcome: bool | None) -> None:
    for n in range(runs):
        run = traffic.run(outcome=outcome).call("find_order", {"n": n}, f"order {n}")
        if check:
            run.call("verify_owner", {"n": n}, "owner ok")
        run.call("refund", {"n": n}, "refunded").turn()


def test_a_check_that_failed_runs_leave_out_is_found(traffic: Traffic) -> None:
    refunds(traffic, 60, check=True, outcome=True)
    refunds(traffic, 4, check=True, outcome=False)
    refunds(traffic, 8, check=False, outcome=False)
    (one,) = findings_in(traffic, "skipped_step")
    assert one.subject.tool == "verify_owner"
    assert one.impact.traces_affected == 8
    kinds = {row["span_id"]: row.get("tool_name") for row in traffic.rows}
    assert one.root_cause is not None
    assert kinds[one.root_cause.span_id] == "refund"
    assert '"refund"' in one.recommendation


def test_an_optional_step_is_not_skipped(traffic: Traffic) -> None:
    refunds(traffic, 40, check=True, outcome=True)
    refunds(traffic, 20, check=False, outcome=True)
    refunds(traffic, 8, check=False, outcome=False)
    assert not findings_in(traffic, "skipped_step")


def test_a_run_that_broke_off_skipped_nothing(traffic: Traffic) -> None:
    refunds(traffic, 60, check=True, outcome=True)
    for n in range(8):
        traffic.run(outcome=False).call("find_order", {"n": n}, None, error="HTTP 500")
    assert not findings_in(traffic, "skipped_step")


def test_runs_that_end_before_the_next_call_leave_out_nothing(traffic: Traffic) -> None:
    refunds(traffic, 60, check=True, outcome=True)
    for n in range(12):
        traffic.run(outcome=False).call("find_order", {"n": n}, f"order {n}").turn()
    refunds(traffic, 1, check=False, outcome=False)
    assert not findings_in(traffic, "skipped_step")


def test_a_call_that_fails_without_the_step_before_it_tells_of_the_step(traffic: Traffic) -> None:
    refunds(traffic, 60, check=True, outcome=None)
    for n in range(8):
        run = traffic.run(outcome=None).call("find_order", {"n": n}, f"order {n}")
        run.call("refund", {"n": n}, None, error="rejected by the second desk").turn()
    (one,) = told(traffic)
    assert (one.category, one.subject.tool) == ("skipped_step", "verify_owner")
    assert "It explains" in one.summary


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_fishers_p_is_a_probability_that_falls_with_the_hits(
    a: int, b: int, c: int, d: int
) -> None:
    drawn, marked, total = a + b, a + c, a + b + c + d
    p = fisher(a, drawn, marked, total)
    assert 0 <= p <= 1
    assert fisher(max(0, a - 1), drawn, marked, total) >= p - 1e-9
    assert fisher(0, drawn, marked, total) == pytest.approx(1)


def test_fishers_tea() -> None:
    assert fisher(4, 4, 4, 8) == pytest.approx(1 / 70)
    assert fisher(3, 4, 4, 8) == pytest.approx(17 / 70)
