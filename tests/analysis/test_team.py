"""Duplicate work, handoff loops, orphaned delegations and waits, beside teams that work well."""

import json

from halo_otel.model.finding import Finding, Role
from tests.analysis.conftest import MS, Traffic, apart, findings_in
from tests.analysis.team_runs import TeamRun, team

LONG = "A paragraph of the draft, now better than the one before it. " * 12


def found_in(traffic: Traffic, category: str) -> list[Finding]:
    return findings_in(traffic, category)


def works(run: TeamRun, agent: str, topics: range, *, first: str | None = None) -> None:
    """An agent looks things up, answers, and the lead reads the answer."""
    number = len(run.rows)
    answer = f"the {agent} found {run.trace_id[-6:]} facts number {number} about its own part of the task"
    with run.working(agent, output=answer):
        if first is not None:
            run.call("get_brief", {"brief": first}, f"brief {first}")
        for topic in topics:
            run.call("search_web", {"q": f"{run.trace_id} {topic}"}, f"page {topic}")
        run.asked("go on", says=answer)
    run.asked(f"worker says: {answer}", says="thanks")


def well(traffic: Traffic, count: int = 20) -> None:
    """Two agents that share a look-up and then do different things."""
    for _ in range(count):
        run = team(traffic)
        brief = run.trace_id
        works(run, "north", range(3), first=brief)
        works(run, "south", range(3, 6), first=brief)


def test_an_agent_that_does_again_what_another_has_done(traffic: Traffic) -> None:
    well(traffic)
    for _ in range(8):
        run = team(traffic)
        works(run, "north", range(3))
        works(run, "south", range(3))
    (found,) = found_in(traffic, "duplicate_work")
    assert (found.subject.agent, found.impact.traces_affected) == ("south", 8)
    assert [e.role for e in found.evidence[:3]] == [Role.CAUSE, Role.CONTRAST, Role.SYMPTOM]


def test_workers_may_share_a_first_look_up(traffic: Traffic) -> None:
    well(traffic, 30)
    assert not found_in(traffic, "duplicate_work")


def test_a_checker_that_checks_in_most_runs_is_meant_to(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        works(run, "north", range(3))
        works(run, "south", range(3))
    assert not found_in(traffic, "duplicate_work")


def test_looking_again_after_a_change_is_no_duplicate(traffic: Traffic) -> None:
    well(traffic)
    for _ in range(8):
        run = team(traffic)
        with run.working("north"):
            run.call("get_page", {"page_id": 1}, "a").call("get_page", {"page_id": 2}, "b")
            run.call("update_page", {"page_id": 1, "text": "c"}, "ok")
        with run.working("south"):
            run.call("get_page", {"page_id": 1}, "a").call("get_page", {"page_id": 2}, "b")
    assert not found_in(traffic, "duplicate_work")


def ping_pong(run: TeamRun, rounds: int, *, news: str = "", work: bool = False) -> None:
    """Two agents pass the task to and fro; with `work` the second one does something each time."""
    for turn in range(rounds):
        with run.working("triage"):
            run.asked(None, says=f"this is for billing {news and turn}")
            run.tool("transfer_to_billing", {"why": "invoice"}, "ok")
        with run.working("billing"):
            if work:
                run.call("get_invoice", {"invoice_id": f"I{turn}"}, f"invoice {turn}")
            run.asked(None, says=f"{news} {turn} back to triage")
            run.tool("transfer_to_triage", {"why": "not an invoice"}, "ok")


def test_agents_that_pass_the_task_to_and_fro(traffic: Traffic) -> None:
    well(traffic)
    for _ in range(6):
        ping_pong(team(traffic), 4)
    (found,) = found_in(traffic, "handoff_loop")
    assert (found.subject.agent, found.impact.traces_affected) == ("triage", 6)
    assert '"billing"' in found.title
    assert '"triage"' in found.title
    assert found.severity.value == "warn"


NO_LOOPS: tuple[dict[str, object], ...] = (
    {"rounds": 2},
    {"rounds": 5, "work": True},
    {"rounds": 5, "news": LONG},
)


def test_rounds_that_bring_something_or_are_few_are_no_loop(traffic: Traffic) -> None:
    for options in traffic.each(NO_LOOPS):
        for _ in range(20):
            ping_pong(team(traffic), **options)  # type: ignore[arg-type]
    assert not found_in(traffic, "handoff_loop")


def test_a_supervisor_that_gets_each_result_does_not_loop(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        for part in range(5):
            works(run, "north", range(part, part + 1))
    assert not found_in(traffic, "handoff_loop")


def test_a_supervisor_that_asks_a_worker_without_tools_does_not_loop(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        for part in range(5):
            works(run, "north", range(0))
            run.asked(f"{part}", says=f"next is part {part}")
    assert not found_in(traffic, "handoff_loop")


def test_a_handoff_to_an_agent_that_never_begins(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        with run.working("triage"):
            run.call("transfer_to_billing_agent", {}, "ok")
        works(run, "Billing Agent", range(2))
    for _ in range(5):
        with team(traffic).working("triage") as run:
            run.call("transfer_to_billing_agent", {}, "ok")
            run.asked("x", says="done")
    (found,) = found_in(traffic, "orphan_delegation")
    assert (found.subject.agent, found.impact.traces_affected) == ("triage", 5)


def test_a_handoff_to_a_person_or_to_an_agent_nobody_sees_is_no_orphan(traffic: Traffic) -> None:
    for _ in range(20):
        with team(traffic).working("triage") as run:
            run.call("transfer_to_human_agents", {}, "ok").call("transfer_to_mainframe", {}, "ok")
    assert not found_in(traffic, "orphan_delegation")


def test_a_worker_that_stops_in_the_middle(traffic: Traffic) -> None:
    well(traffic)
    for _ in range(5):
        run = team(traffic)
        works(run, "south", range(2))
        with run.working("north"):
            run.call("search_web", {"q": run.trace_id}, "page")
        run.asked("what is there?", says="I am done")
    (found,) = found_in(traffic, "orphan_delegation")
    assert (found.subject.agent, found.impact.traces_affected) == ("north", 5)


def test_an_answer_that_is_not_waited_for(traffic: Traffic) -> None:
    well(traffic)
    for _ in range(5):
        run = team(traffic)
        works(run, "south", range(2))
        began = (run.now_ns - run._start_ns) / MS
        with run.working("north", output="the north has been looked at"):
            run.call("search_web", {"q": run.trace_id}, "page")
            run.wait(9_000).asked("go on", says="the north has been looked at")
        run.at(began + 2_000).asked("what is there?", says="I am done")
    (found,) = found_in(traffic, "orphan_delegation")
    assert (found.subject.agent, found.impact.traces_affected) == ("north", 5)


def test_a_ticket_that_nobody_asks_for_again(traffic: Traffic) -> None:
    asks = {"task": "find the reason and report back"}
    for number in range(20):
        run = team(traffic)
        run.call("ask_digger", asks, f'{{"status": "accepted", "ticket": "t-77{number}"}}')
        run.call("get_result", {"ticket": f"t-77{number}"}, "the reason")
        run.asked("x", says="done")
    for number in range(5):
        run = team(traffic)
        run.call("ask_digger", asks, f'{{"status": "accepted", "ticket": "t-88{number}"}}')
        run.asked("x", says="done")
    (found,) = found_in(traffic, "orphan_delegation")
    assert (found.subject.tool, found.impact.traces_affected) == (None, 5)


def test_a_ticket_of_who_otherwise_answers_at_once_is_an_exception(traffic: Traffic) -> None:
    """Also where most calls are like it; where all of them are, that is how the work goes on."""
    asks = {"task": "find the reason and report back"}
    for answered, _ in traffic.each([(10, True), (0, False)]):
        for number in range(60):
            run = team(traffic)
            if number < 12:
                run.call("ask_digger", asks, f'{{"status": "accepted", "ticket": "t-88{number}"}}')
            elif number < 12 + answered:
                run.call("ask_digger", asks, f"the reason is {number}")
            run.asked("x", says="done")
    for (_, told), found in apart(traffic, found_in(traffic, "orphan_delegation")):
        assert bool(found) is told


def test_a_message_that_is_taken_on_is_no_task(traffic: Traffic) -> None:
    for number in range(20):
        run = team(traffic)
        result = f'{{"status": "accepted", "ticket": "t-88{number}"}}'
        run.call("ask_courier", {"task": "notify the customer"}, result)
    assert not found_in(traffic, "orphan_delegation")


def test_fire_and_forget_is_no_orphan(traffic: Traffic) -> None:
    well(traffic)
    for _ in range(8):
        run = team(traffic)
        works(run, "south", range(2))
        with run.working("courier", output="the message about the order has been delivered"):
            run.call("send_mail", {"to": run.trace_id}, "sent")
        run.asked("what does south say?", says="I am done")
    assert not found_in(traffic, "orphan_delegation")


def waits(run: TeamRun, ms: float, before: str = "search_web", after: str = "search_web") -> None:
    """A worker is idle between two calls."""
    with run.working("north"):
        run.tool(before, {"q": f"{run.trace_id} 1"}, "page 1").wait(ms)
        run.tool(after, {"q": f"{run.trace_id} 2"}, "page 2").asked("go on", says="found")
    run.asked("found", says="done")


def test_an_agent_that_does_nothing_for_half_of_the_run(traffic: Traffic) -> None:
    for number in range(20):
        waits(team(traffic), 50 + number)
    for _ in range(6):
        waits(team(traffic), 20_000)
    (found,) = found_in(traffic, "waiting")
    assert (found.subject.agent, found.impact.traces_affected) == ("north", 6)
    assert 115 < found.impact.seconds_wasted < 125


def test_waiting_for_a_person_is_no_fault(traffic: Traffic) -> None:
    for tool in traffic.each(["request_approval", "ask_human"]):
        for number in range(20):
            waits(team(traffic), 50 + number)
        for _ in range(6):
            waits(team(traffic), 20_000, before=tool)
            waits(team(traffic), 20_000, after=tool)
    assert not found_in(traffic, "waiting")


def test_an_agent_that_is_started_only_where_it_waits(traffic: Traffic) -> None:
    """It has no better runs to compare with, the agents beside it have."""
    well(traffic, 30)
    for _ in range(6):
        run = team(traffic)
        works(run, "north", range(3))
        with run.working("east"):
            run.wait(20_000).asked("go on", says="found")
    (found,) = found_in(traffic, "waiting")
    assert (found.subject.agent, found.impact.traces_affected) == ("east", 6)


def waits_in(run: TeamRun, tool: str, ms: float, *, describes: str = "Reserves one.") -> None:
    """A worker calls a tool that does nothing but wait."""
    definitions = json.dumps([{"name": tool, "description": describes}])
    with run.working("north"):
        run.tool("search_web", {"q": f"{run.trace_id} 1"}, "page 1")
        run.asked("go on", says="next")
        run.rows[-1]["tool_definitions"] = definitions
        run.tool(tool, {"of": run.trace_id}, "granted", ms=ms)
        run.asked("go on", says="found")
    run.asked("found", says="done")


WAITERS = (
    ("wait_for_worker", "Is there a worker?", 6),
    ("acquireLock", "Locks it.", 6),
    ("enter_desk", "Waits until the desk is free.", 6),
    ("enter_desk", "Wait until a human agrees.", 0),
    ("render_film", "Renders it, which takes a while.", 0),
    ("await_approval", "Waits.", 0),
)


def test_a_tool_that_does_nothing_but_wait(traffic: Traffic) -> None:
    for tool, describes, _ in traffic.each(WAITERS):
        for number in range(20):
            waits_in(team(traffic), tool, 50 + number, describes=describes)
        for _ in range(6):
            waits_in(team(traffic), tool, 20_000, describes=describes)
    names = {row["span_id"]: row["name"] for run in traffic.runs for row in run.rows}
    for (tool, describes, count), found in apart(traffic, found_in(traffic, "waiting")):
        assert sum(one.impact.traces_affected for one in found) == count, (tool, describes)
        for one in found:
            cause = next(spot for spot in one.evidence if spot.role is Role.CAUSE)
            assert names[cause.span_id] == f"execute_tool {tool}"


def test_who_works_beside_a_tool_that_waits_is_not_idle(traffic: Traffic) -> None:
    for _ in range(20):
        waits(team(traffic), 50)
    for _ in range(6):
        run = team(traffic)
        with run.working("north"):
            run.tool("wait_for_build", {"of": run.trace_id}, "built", ms=20_000)
            run.at(1_000).tool("write_docs", {"of": run.trace_id}, "written", ms=19_000)
            run.asked("go on", says="found")
        run.asked("found", says="done")
    assert not found_in(traffic, "waiting")


def test_an_agent_that_always_waits_works_that_way(traffic: Traffic) -> None:
    for _ in range(30):
        waits(team(traffic), 20_000)
    assert not found_in(traffic, "waiting")


def test_a_round_of_two_among_many_agents_that_do_not_loop(traffic: Traffic) -> None:
    well(traffic)
    for _ in range(6):
        run = team(traffic)
        for agent in ("north", "south", "east", "west"):
            works(run, agent, range(1))
        ping_pong(run, 3)
    (found,) = found_in(traffic, "handoff_loop")
    assert found.impact.traces_affected == 6
    cause = next(one for one in found.evidence if one.role is Role.CAUSE)
    spans = {row["span_id"]: row["name"] for run in traffic.runs for row in run.rows}
    assert "transfer_to" in str(spans[cause.span_id])


def test_an_agent_that_takes_part_only_to_do_again_what_was_done(traffic: Traffic) -> None:
    """A checker says what comes of it by a call of its own."""
    for last, _ in traffic.each([(False, 6), (True, 0)]):
        for _ in range(20):
            works(team(traffic), "north", range(3))
        for _ in range(6):
            run = team(traffic)
            works(run, "north", range(3))
            with run.working("checker"):
                for topic in range(3):
                    run.call("search_web", {"q": f"{run.trace_id} {topic}"}, f"page {topic}")
                if last:
                    run.call("submit_verdict", {"verdict": "good"}, "ok")
    for (_, count), found in apart(traffic, found_in(traffic, "duplicate_work")):
        assert sum(one.impact.traces_affected for one in found) == count


def outlives(run: TeamRun, root_ms: float, *, named: str) -> None:
    """The run is a chain whose first agent calls for another one; it ends `root_ms` after it began."""
    with run.working("router"):
        run.call("delegate", {"agent_name": named, "task": "look"}, "accepted")
    with run.working("digger", output="the digger has found what it looked for"):
        run.call("search_web", {"q": run.trace_id}, "page")
        run.wait(20_000).asked("go on", says="found")
    run.rows[0].update(
        span_kind="chain", agent_name=None, end_ns=run._start_ns + round(root_ms * MS)
    )


OUTLIVING = ((9_000, "digger", 5), (9_000, "somebody", 0), (40_000, "digger", 0))


def test_a_named_agent_that_outlives_the_run(traffic: Traffic) -> None:
    for root_ms, named, _ in traffic.each(OUTLIVING):
        well(traffic)
        for _ in range(20):
            with team(traffic).working("router") as run:
                run.asked("what is to do?", says="nothing")
        for _ in range(5):
            outlives(team(traffic), root_ms, named=named)
    for (root_ms, named, count), found in apart(traffic, found_in(traffic, "orphan_delegation")):
        assert sum(one.impact.traces_affected for one in found) == count, (root_ms, named)


def test_who_says_first_that_it_is_done_is_to_blame_not_who_passes_it_on(traffic: Traffic) -> None:
    well(traffic)
    for number in range(8):
        run = team(traffic)
        said = f"ORD-{number}11 and ORD-{number}12 have been cancelled."
        with run.working("north", output=said):
            run.tool("cancel_order", {"order": f"ORD-{number}11"}, "ok").asked("x", says=said)
        run.asked("what does north say?", says=said)
    (found,) = found_in(traffic, "premature_end")
    assert found.subject.agent == "north"
