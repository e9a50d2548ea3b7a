"""Steps that bring nothing, one way or another, and long work that gets somewhere."""

from tests.analysis.conftest import Run, Traffic, findings_in, one_each

WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll lagoon".split()


def searches(run: Run, steps: int, answer: str = "No results found.") -> Run:
    for place in range(steps):
        query = {"q": f"{WORDS[place]} {WORDS[-place]}"}
        run.call("search_docs", query, answer.format(query["q"], f"{run.trace_id}{place}"))
    return run


def test_many_searches_that_find_nothing_are_told(traffic: Traffic) -> None:
    runs = {}
    for answer in traffic.each(["No results found.", "No results found for '{0}'."]):
        traffic.healthy(20)
        runs[answer] = [searches(traffic.run(outcome=None), 11, answer) for _ in range(6)]
    for answer, found in one_each(traffic, findings_in(traffic, "no_progress")):
        assert found.traces == tuple(run.trace_id for run in runs[answer])
        assert "search_docs" in found.summary


def test_a_long_search_that_finds_something_each_time_gets_somewhere(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        searches(traffic.run(), 11, "Found document {1} about {0}")
    assert not findings_in(traffic, "no_progress")


def test_a_few_searches_that_find_nothing_are_in_order(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        searches(traffic.run(), 6)
    assert not findings_in(traffic, "no_progress")


def test_work_whose_answers_are_all_done_gets_somewhere(traffic: Traffic) -> None:
    for tool in traffic.each(["delete_file", "run_command", "process_item"]):
        traffic.healthy(20)
        for _ in range(8):
            run = traffic.run()
            for place in range(12):
                run.call(tool, {"id": f"{run.trace_id}-{place}"}, "done")
    assert not findings_in(traffic, "no_progress")


def test_what_is_written_in_between_is_progress(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run()
        for place in range(3):
            searches(run, 5).call("save_note", {"n": place}, f"saved {run.trace_id} {place}")
    assert not findings_in(traffic, "no_progress")


def test_answers_that_are_unknown_may_be_new(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run()
        for place in range(12):
            run.call("search_docs", {"q": place}, None)
    assert not findings_in(traffic, "no_progress")


def test_what_is_a_loop_is_told_as_one(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(6):
        run = traffic.run(outcome=None)
        for _ in range(12):
            run.call("search_docs", {"q": "same"}, "nothing")
    assert [one.category for one in findings_in(traffic, "loop", "no_progress")] == ["loop"]


def test_waiting_until_a_job_is_done_gets_somewhere(traffic: Traffic) -> None:
    traffic.healthy(20)
    for number in range(8):
        run = traffic.run()
        for place in range(10):
            run.call("get_job", {"job": number}, "running")
            run.call("get_log", {"job": number}, "no new lines found" if place else "started")
        run.call("get_job", {"job": number}, "done").call("get_log", {"job": number}, "finished")
    assert not findings_in(traffic, "no_progress")
