"""Where tokens and time go: costly runs, serial calls, calls worth a cache, and what only looks so."""

import random
from typing import Any

from halo_otel.model.finding import Finding
from tests.analysis.conftest import MS, Row, Run, Traffic, findings_in


def told(traffic: Traffic, detector: str) -> list[Finding]:
    return [finding for finding in findings_in(traffic) if finding.detector == detector]


# -- costly runs


def spend(traffic: Traffic, count: int, prompt: float, turns: int, rng: random.Random) -> None:
    """Runs whose first prompt has about `prompt` tokens and grows a little each turn."""
    for _ in range(count):
        run = traffic.run()
        first = prompt * rng.lognormvariate(0, 0.2)
        for turn in range(turns):
            chars = round(4 * prompt)
            run.turn(
                tokens=round(first * (1 + 0.1 * turn)), input_text="do this", input_text_chars=chars
            )


def test_runs_that_take_many_times_the_tokens_are_a_group(traffic: Traffic) -> None:
    rng = random.Random(1)
    spend(traffic, 60, 1_000, 4, rng)
    spend(traffic, 8, 1_000, 40, rng)
    (finding,) = told(traffic, "costly_runs")
    assert finding.impact.traces_affected == 8
    assert finding.impact.tokens_wasted > 8 * 50_000
    assert finding.category == "cost"
    assert "dearest of 40 turns" in finding.evidence[0].note


def test_large_tasks_are_asked_for_at_length(traffic: Traffic) -> None:
    rng = random.Random(2)
    spend(traffic, 60, 1_000, 4, rng)
    spend(traffic, 8, 30_000, 4, rng)
    assert told(traffic, "costly_runs") == []


def test_what_the_user_adds_later_is_asked_too(traffic: Traffic) -> None:
    rng = random.Random(2)
    spend(traffic, 60, 1_000, 4, rng)
    for _ in range(8):
        run = traffic.run().turn(tokens=1_000, input_text="do this", input_text_chars=4_000)
        for turn in range(3):
            asked: Any = {"input_text": "this is all I have", "input_text_chars": 120_000}
            run.turn(tokens=30_000 + turn, **asked)
    assert told(traffic, "costly_runs") == []


def test_long_runs_do_not_hide_costly_ones(traffic: Traffic) -> None:
    """Three populations: usual, long, and costly without being long."""
    rng = random.Random(2)
    spend(traffic, 200, 500, 4, rng)
    for number in range(14):
        run = traffic.run()
        for step in range(12):
            run.turn(tokens=round(900 * rng.lognormvariate(0, 0.2)))
            run.call("search", {"q": f"{number} {step}"}, f"found {number} {step}")
    for _ in range(18):
        run = traffic.run()
        for _ in range(rng.randint(3, 8)):
            run.turn(tokens=round(16_000 * rng.lognormvariate(0, 0.2)))
    (finding,) = told(traffic, "costly_runs")
    assert finding.impact.traces_affected == 18


def test_who_spends_below_the_agent_that_was_asked_may_differ(traffic: Traffic) -> None:
    rng = random.Random(2)
    spend(traffic, 60, 1_000, 4, rng)
    for number in range(10):
        spend(traffic, 1, 1_000, 40, rng)
        for row in traffic.runs[-1].rows[1:]:
            row["agent_name"] = f"worker {number % 2}"
    (finding,) = told(traffic, "costly_runs")
    assert finding.impact.traces_affected == 10
    assert finding.title.startswith('Agent "booker"')
    assert '"worker 0", "worker 1"' in finding.summary


def test_runs_that_do_more_may_cost_more(traffic: Traffic) -> None:
    for number in range(70):
        run = traffic.run(session=f"s{number}")
        for step in range(16 if number % 7 == 0 else 4):
            run.turn(tokens=1_000 + 150 * step)
            run.call("search", {"q": f"{number} {step}"}, f"found {number} {step}")
    assert told(traffic, "costly_runs") == []


def test_a_long_tail_is_healthy(traffic: Traffic) -> None:
    rng = random.Random(3)
    for _ in range(120):
        spend(traffic, 1, 1_000, max(1, round(4 * rng.lognormvariate(0, 1))), rng)
    assert told(traffic, "costly_runs") == []


# -- serial calls


def batch(
    run: Run, tools: list[str], *, ms: float, together: bool = False, **columns: object
) -> None:
    """One turn that asks for all of `tools`."""
    run.turn()
    started = run.now_ns
    for number, tool in enumerate(tools):
        if together:
            run.now_ns = started
        row: Row = run._add(
            f"execute_tool {tool}",
            "tool",
            tool_name=tool,
            tool_arguments=f'{{"q":"city {number}"}}',
            tool_arguments_chars=14,
            tool_result=f"weather {number}",
            tool_result_chars=9,
            ms=ms,
        )
        row |= columns


def test_calls_that_one_turn_asked_for_are_made_one_by_one(traffic: Traffic) -> None:
    for _ in range(12):
        batch(traffic.run(), ["get_weather", "get_hotels", "get_trains"], ms=2_000)
    (finding,) = told(traffic, "serial_calls")
    assert finding.impact.traces_affected == 12
    assert 12 * 3.9 < finding.impact.seconds_wasted < 12 * 4.1
    assert "get_hotels, get_trains, get_weather" in finding.recommendation


def test_calls_made_together_are_not_serial(traffic: Traffic) -> None:
    for _ in range(12):
        batch(traffic.run(), ["get_weather", "get_hotels", "get_trains"], ms=2_000, together=True)
    assert told(traffic, "serial_calls") == []


def test_calls_asked_for_one_at_a_time_are_the_models_choice(traffic: Traffic) -> None:
    for _ in range(12):
        run = traffic.run()
        for number in range(4):
            run.call("get_weather", {"q": number}, f"weather {number}", ms=2_000)
    assert told(traffic, "serial_calls") == []


def test_calls_that_need_each_others_results_wait_for_them(traffic: Traffic) -> None:
    for number in range(12):
        run = traffic.run()
        batch(run, ["get_user", "get_order", "get_parcel"], ms=2_000)
        first, second, third = run.rows[-3:]
        first["tool_result"] = f"order W{number}77"
        second |= {
            "tool_arguments": f'{{"order":"W{number}77"}}',
            "tool_result": f"parcel P{number}9",
        }
        third["tool_arguments"] = f'{{"parcel":"P{number}9"}}'
    assert told(traffic, "serial_calls") == []


def test_unknown_arguments_may_need_each_others_results(traffic: Traffic) -> None:
    for _ in range(12):
        batch(traffic.run(), ["get_user", "get_order", "get_parcel"], ms=2_000, tool_arguments=None)
    assert told(traffic, "serial_calls") == []


def test_writes_keep_their_order(traffic: Traffic) -> None:
    for _ in range(12):
        batch(traffic.run(), ["update_seat", "update_meal", "update_bag"], ms=2_000)
    assert told(traffic, "serial_calls") == []


def test_short_calls_are_not_worth_it(traffic: Traffic) -> None:
    for _ in range(12):
        run = traffic.run()
        batch(run, ["get_weather", "get_hotels", "get_trains"], ms=50)
        run.turn(ms=5_000)
    assert told(traffic, "serial_calls") == []


# -- cacheable calls


def ask(traffic: Traffic, count: int, answer: str = "EUR 1.09") -> None:
    for number in range(count):
        run = traffic.run(session=f"s{number}")
        run.call("get_rates", {"base": "USD"}, answer.format(number), ms=900)
        run.call("search", {"q": f"trip {number}"}, f"found {number}", ms=100).turn()


def test_what_every_run_asks_belongs_into_a_cache(traffic: Traffic) -> None:
    ask(traffic, 30)
    (finding,) = told(traffic, "cacheable_call")
    assert finding.subject.tool == "get_rates"
    assert finding.impact.traces_affected == 30
    assert 25 < finding.impact.seconds_wasted < 27
    assert "search" not in finding.title


def test_fewer_runs_are_no_habit_yet(traffic: Traffic) -> None:
    ask(traffic, 15)
    assert told(traffic, "cacheable_call") == []


def test_answers_that_change_are_watched_not_repeated(traffic: Traffic) -> None:
    ask(traffic, 40, answer="EUR 1.0{0}")
    assert told(traffic, "cacheable_call") == []


def test_what_writes_cannot_be_cached(traffic: Traffic) -> None:
    for number in range(40):
        traffic.run(session=f"s{number}").call("send_ping", {"to": "ops"}, "ok", ms=900)
    assert told(traffic, "cacheable_call") == []


def test_waste_does_not_count_what_one_run_has_to_ask(traffic: Traffic) -> None:
    ask(traffic, 40)
    (finding,) = told(traffic, "cacheable_call")
    assert finding.impact.seconds_wasted < 40 * 900 * MS / 1e9


def fetch(run: Run, ids: list[str], *, ms: float, listed: bool = True) -> None:
    """The ids come from a list, or each from the call before it; one call to a turn."""
    said = " ".join(ids) if listed else ids[0]
    run.call("list_orders", {"customer": "mia@example.com"}, f"orders {said}", ms=10)
    for number, order in enumerate(ids):
        following = "" if listed or number + 1 == len(ids) else f" next {ids[number + 1]}"
        run.call("get_order", {"order": order}, f"order {order} is on its way{following}", ms=ms)


def test_things_known_from_the_start_are_fetched_one_by_one(traffic: Traffic) -> None:
    for number in range(12):
        fetch(traffic.run(), [f"W{number}1{step}7" for step in range(5)], ms=3_000)
    (finding,) = told(traffic, "serial_calls")
    assert finding.subject.tool == "get_order"
    assert finding.impact.traces_affected == 12


def test_a_chain_where_each_call_names_the_next_is_no_choice(traffic: Traffic) -> None:
    for number in range(12):
        fetch(traffic.run(), [f"W{number}1{step}7" for step in range(5)], ms=3_000, listed=False)
    assert told(traffic, "serial_calls") == []


def test_searches_in_words_may_follow_from_each_other(traffic: Traffic) -> None:
    for number in range(12):
        run = traffic.run()
        for what in ("red bikes", "cheap red bikes", "cheap red bikes near here"):
            run.call("search", {"q": what}, f"found {what} {number}", ms=3_000)
    assert told(traffic, "serial_calls") == []
