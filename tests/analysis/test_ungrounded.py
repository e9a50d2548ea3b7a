"""Values that nobody has said."""

import json
from typing import Any

from halo_otel.model.finding import Finding, Severity
from tests.analysis.conftest import Row, Run, Traffic, findings_in, one_each


def ungrounded(traffic: Traffic) -> list[Finding]:
    return findings_in(traffic, "ungrounded_argument")


def order(number: int) -> str:
    return f"ord-{7000 + 13 * number}"


def heard(run: Run, text: str, **columns: Any) -> Run:
    return run.turn(input_text=text, **columns)


def good(traffic: Traffic, count: int = 60) -> None:
    """Runs that look an order up and cancel it."""
    for number in range(count):
        run = heard(traffic.run(), f"cancel my last order, I am customer {number}")
        run.call("list_orders", {"n": number}, f"open: {order(number)}")
        run.call("cancel", {"order_id": order(number), "why": f"x{number} y"}, "ok").turn()


def inventing(
    traffic: Traffic,
    count: int = 5,
    *,
    error: str | None = "Error: no such order",
    value: str = "ord-99{}41",
    said: str = "cancel my last order",
    answer: str | None = "open: none",
    asking: Row | None = None,
    session: str | None = None,
) -> None:
    for number in range(count):
        run = heard(traffic.run(session=session), said)
        run.call("list_orders", {"n": f"i{number}"}, answer)
        invented = value.format(number)
        run.call(
            "cancel", {"order_id": invented}, None if error else "ok", error=error, asking=asking
        )
        run.turn()


def test_an_invented_reference_is_told(traffic: Traffic) -> None:
    good(traffic)
    inventing(traffic)
    (finding,) = ungrounded(traffic)
    assert finding.severity is not Severity.INFO
    assert finding.subject.tool == "cancel"
    assert dict(finding.subject.attributes) == {"argument": "order_id"}
    assert finding.impact.traces_affected == 5
    assert '"ord-99041"' in finding.summary


def test_what_the_tool_takes_is_information(traffic: Traffic) -> None:
    good(traffic, 120)
    inventing(traffic, error=None)
    assert [one.severity for one in ungrounded(traffic)] in ([], [Severity.INFO])


def test_many_inventions_do_not_make_a_reference_forgotten(traffic: Traffic) -> None:
    good(traffic)
    inventing(traffic, 30)
    (finding,) = ungrounded(traffic)
    assert finding.impact.traces_affected == 30


NO_SUCH = ('{"found": false, "hint": "no such entry"}', "There is no such order.", "Not found")


def test_an_answer_that_there_is_no_such_thing_teaches_nothing(traffic: Traffic) -> None:
    """The tool takes what was invented, without an error, and says that it knows nothing of it."""
    for answer in traffic.each(NO_SUCH):
        good(traffic)
        for number in range(30):
            run = heard(traffic.run(), "cancel my last order")
            run.call("list_orders", {"n": f"i{number}"}, "open: none")
            run.call("cancel", {"order_id": f"ord-99{number}41"}, answer).turn()
    for answer, finding in one_each(traffic, ungrounded(traffic)):
        assert finding.impact.traces_affected == 30, answer
        assert finding.severity is not Severity.INFO


def test_ids_of_several_parts(traffic: Traffic) -> None:
    for number in range(60):
        run = heard(traffic.run(), f"what of my policy? I am customer {number}")
        run.call("list_policies", {"n": number}, f'{{"open": ["NM/{7000 + number}-H"]}}')
        run.call("get_terms", {"policy_no": f"NM/{7000 + number}-H"}, "terms").turn()
    for number in range(5):
        run = heard(traffic.run(), "what of my policy?")
        run.call("list_policies", {"n": f"i{number}"}, '{"open": []}')
        run.call("get_terms", {"policy_no": f"NM/99{number}41-H"}, None, error="unknown").turn()
    (finding,) = ungrounded(traffic)
    assert finding.impact.traces_affected == 5


def test_paths_are_ids_and_dates_are_none(traffic: Traffic) -> None:
    for number in range(60):
        run = heard(traffic.run(), f"read /src/part{number}.py: it is of 2026/01/{number:02}")
        asked = {"path": f"./src/part{number}.py", "day": f"2026/01/{number:02}"}
        run.call("read", asked, "text").turn()
    for number in range(5):
        run = heard(traffic.run(), "read what is there")
        asked = {"path": f"src/main{number}.py", "day": f"2026/02/0{number}"}
        run.call("read", asked, None, error="FileNotFoundError").turn()
    (finding,) = ungrounded(traffic)
    assert dict(finding.subject.attributes) == {"argument": "path"}
    assert finding.impact.traces_affected == 5


def test_a_path_of_a_folder_and_a_file_that_were_listed_is_not_invented(traffic: Traffic) -> None:
    for number in range(60):
        run = heard(traffic.run(), f"read src/part{number}.py")
        run.call("read", {"path": f"src/part{number}.py"}, "text").turn()
    for number in range(5):
        run = heard(traffic.run(), "read what is there")
        run.call("list", {"path": "src"}, f"main{number + 100}.py")
        run.call("read", {"path": f"src/main{number + 100}.py"}, "text").turn()
    assert not ungrounded(traffic)


def test_a_role_or_a_type_may_be_a_list(traffic: Traffic) -> None:
    """JSON schema says `"type": ["string", "null"]`, and it stands in what models are given."""
    good(traffic)
    schema = {"role": ["a", "b"], "properties": {"q": {"type": ["string", "null"]}}}
    asking: Row = {"attributes": json.dumps({"tools": json.dumps([schema, "ord-99041"])})}
    inventing(traffic, asking=asking)
    (finding,) = ungrounded(traffic)
    assert finding.impact.traces_affected == 4  # one of the five values stands there


# Traffic that a healthy system makes.


def test_what_was_said_anywhere_is_grounded(traffic: Traffic) -> None:
    good(traffic)
    inventing(traffic, 5, said="cancel ORD-99041, ord-99141, #ord-99241 ord-99341 and ord-99441.")
    assert not ungrounded(traffic)


def test_what_only_the_raw_history_says_is_grounded(traffic: Traffic) -> None:
    """The frame knows a turn's last message; the whole history stands in the attributes."""
    good(traffic)
    history = [
        {"role": "user", "parts": [{"type": "text", "content": f"ord-99{n}41"} for n in range(5)]}
    ]
    asking: Row = {"attributes": json.dumps({"gen_ai.input.messages": json.dumps(history)})}
    inventing(traffic, asking=asking)
    assert not ungrounded(traffic)


def test_what_the_model_said_itself_is_no_ground(traffic: Traffic) -> None:
    good(traffic)
    history = [
        {"role": "user", "parts": [{"type": "text", "content": "cancel it"}]},
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": f"ord-99{n}41?"} for n in range(5)],
        },
    ]
    asking: Row = {
        "attributes": json.dumps(
            {
                "gen_ai.input.messages": json.dumps(history),
                "gen_ai.output.messages": "ord-99041 ord-99141 ord-99241 ord-99341 ord-99441",
            }
        )
    }
    inventing(traffic, asking=asking)
    assert len(ungrounded(traffic)) == 1


def test_what_is_answered_later_is_no_ground(traffic: Traffic) -> None:
    """The tool that hands the work on encloses the call, and repeats its error when it is done."""
    good(traffic)
    for number in range(5):
        run = heard(traffic.run(), "cancel my last order")
        outer = run._add(
            "delegate", "tool", ms=1, tool_name="delegate", tool_result="", result_unknown="empty"
        )
        run.call("list_orders", {"n": f"i{number}"}, "open: none")
        run.call("cancel", {"order_id": f"ord-99{number}41"}, None, error="no such order").turn()
        outer |= {"end_ns": run.now_ns, "tool_result": f"failed: no ord-99{number}41"}
    assert len(ungrounded(traffic)) == 1


def test_what_is_put_together_is_not_invented(traffic: Traffic) -> None:
    good(traffic, 120)
    inventing(traffic, error=None, said="orders 99041, 99141, 99241, 99341, 99441")
    assert not ungrounded(traffic)


def test_what_an_earlier_trace_of_the_session_says_is_grounded(traffic: Traffic) -> None:
    good(traffic)
    first = heard(traffic.run(session="visit"), "what is open?")
    first.call("list_orders", {"n": "first"}, " ".join(f"ord-99{n}41" for n in range(5))).turn()
    inventing(traffic, session="visit")
    assert not ungrounded(traffic)


def test_where_an_answer_is_unknown_nothing_is_claimed(traffic: Traffic) -> None:
    good(traffic)
    inventing(traffic, answer=None)
    assert not ungrounded(traffic)


def test_where_no_input_is_known_nothing_is_claimed(traffic: Traffic) -> None:
    good(traffic)
    for number in range(5):
        run = traffic.run()
        run.call("cancel", {"order_id": f"ord-99{number}41"}, None, error="no such order").turn()
    assert not ungrounded(traffic)


def test_a_redacted_input_may_have_said_it(traffic: Traffic) -> None:
    good(traffic)
    inventing(traffic, asking={"input_unknown": "redacted"})
    assert not ungrounded(traffic)


def test_dates_and_numbers_an_agent_chooses_are_no_references(traffic: Traffic) -> None:
    for number in range(80):
        run = heard(traffic.run(), "find me a flight next week")
        error = "no flights" if number % 5 == 0 else None
        what = {"date": f"2024-05-{10 + number % 18}", "limit": 1000 + number}
        run.call("search", what, f"found {number}", error=error).turn()
    assert not ungrounded(traffic)


def test_ids_that_agents_make_are_no_references(traffic: Traffic) -> None:
    for number in range(80):
        run = heard(traffic.run(), "write it down")
        error = "disk full" if number % 8 == 0 else None
        run.call("create", {"name": f"report-{number}-v1.txt"}, "ok", error=error).turn()
    assert not ungrounded(traffic)
