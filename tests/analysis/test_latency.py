"""Slow modes, and the long tails that are none."""

import math
import random

import pytest

from halo_otel.analysis import frame
from halo_otel.analysis.detectors.latency import slow_mode
from halo_otel.analysis.usual import circumstances
from halo_otel.analysis.usual.histogram import BUCKET_WIDTH
from halo_otel.model.finding import Finding, Severity
from tests.analysis.conftest import MS, Run, Traffic, findings_in, view_of


def histogram(durations_ms: list[float]) -> dict[int, int]:
    buckets: dict[int, int] = {}
    for duration in durations_ms:
        bucket = math.floor(math.log(duration * 1e6) / BUCKET_WIDTH)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return buckets


@pytest.mark.parametrize("sigma", [0.0, 0.3, 0.7, 1.2])
@pytest.mark.parametrize("spans", [30, 100, 500, 3000])
def test_log_normal_durations_are_healthy(sigma: float, spans: int) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        assert (
            slow_mode(histogram([200 * rng.lognormvariate(0, sigma) for _ in range(spans)])) is None
        )


@pytest.mark.parametrize("spans", [500, 3000])
def test_heavier_tails_are_healthy(spans: int) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        pareto = [100 * rng.paretovariate(1.5) for _ in range(spans)]
        waiting = [100 * rng.expovariate(1) + 0.001 for _ in range(spans)]
        assert slow_mode(histogram(pareto)) is None
        assert slow_mode(histogram(waiting)) is None


def test_a_fast_minority_is_healthy() -> None:
    rng = random.Random(0)
    cached = [(2 if rng.random() < 0.3 else 200) * rng.lognormvariate(0, 0.4) for _ in range(1000)]
    assert slow_mode(histogram(cached)) is None


@pytest.mark.parametrize(("share", "factor"), [(0.05, 20), (0.05, 10), (0.15, 8), (0.4, 10)])
def test_a_slow_mode_is_found(share: float, factor: float) -> None:
    for seed in range(20):
        rng = random.Random(seed)
        durations = [
            200 * rng.lognormvariate(0, 0.4) * (factor if place < share * 400 else 1)
            for place in range(400)
        ]
        mode = slow_mode(histogram(durations))
        assert mode is not None
        assert 0.7 < mode.upper / mode.lower / factor < 1.4


def test_a_slow_mode_nobody_would_notice_is_healthy() -> None:
    rng = random.Random(0)
    durations = [(10 if n % 10 == 0 else 1) * rng.lognormvariate(0, 0.2) for n in range(500)]
    assert slow_mode(histogram(durations)) is None


def test_runs_that_meet_the_slow_mode_are_told(traffic: Traffic) -> None:
    slow = []
    for number in range(100):
        run = traffic.run()
        factor = 15 if number % 12 == 0 else 1
        run.call(
            "fetch",
            {"n": number},
            f"{number}",
            ms=300 * factor * traffic.random.lognormvariate(0, 0.3),
        )
        slow += [run.trace_id] if factor > 1 else []
    (found,) = findings_in(traffic, "latency")
    assert found.traces == tuple(slow)
    assert found.subject.tool == "fetch"
    assert found.impact.seconds_wasted > 9 * 3


def test_what_most_runs_meet_is_how_the_tool_is(traffic: Traffic) -> None:
    for number in range(60):
        run = traffic.run()
        for step in range(4):  # every run has one long command among short ones
            run.call("shell", {"n": [number, step]}, "ok", ms=9000 if step == 3 else 100)
    assert not findings_in(traffic, "latency")


def test_a_delegation_takes_as_long_as_the_work_it_asks_for(traffic: Traffic) -> None:
    for number in range(80):
        run = traffic.run(session=f"s{number}")
        run.call(
            "ask_lawyer",
            {"case": number},
            f"advice {number}",
            ms=20_000 if number % 9 == 0 else 500,
        )
        run._add(
            "invoke_agent lawyer",
            "agent",
            parent=str(run.span["span_id"]),
            agent_name="lawyer",
            ms=1,
        )
    assert not findings_in(traffic, "latency")
    for row in traffic.rows:
        if row["name"] == "invoke_agent lawyer":
            row["span_kind"] = "other"
    assert findings_in(traffic, "latency")


def fetching(
    traffic: Traffic, run: Run, *, slow: bool, host: str | None = None, **arguments: object
) -> None:
    ms = 300 * (15 if slow else 1) * traffic.random.lognormvariate(0, 0.3)
    run.call("fetch", {"n": f"item {len(traffic.runs)}", **arguments}, "found", ms=ms)
    if host:
        run.span["attributes"] = f'{{"server.address":"{host}"}}'


def told(traffic: Traffic) -> Finding:
    (found,) = findings_in(traffic, "latency")
    return found


def test_the_server_that_all_slow_calls_went_to_is_named(traffic: Traffic) -> None:
    for number in range(120):
        host = f"node-{number % 8}"
        fetching(traffic, traffic.run(), slow=host == "node-7", host=host)
    found = told(traffic)
    assert 'All 15 slow calls that were compared have server.address "node-7"' in found.summary
    assert "of 105 usual ones none" in found.summary
    assert found.recommendation.startswith('Take server.address "node-7" out of rotation')
    assert found.severity is Severity.WARN


def test_the_server_below_the_call_counts(traffic: Traffic) -> None:
    for number in range(120):
        run, slow = traffic.run(), number % 8 == 7
        fetching(traffic, run, slow=slow)
        run.child(str(run.span["span_id"]), "POST")
        run.rows[-1]["attributes"] = f'{{"server.address":"node-{number % 8}"}}'
    assert 'server.address "node-7"' in told(traffic).summary


def test_what_usual_calls_have_as_well_is_not_named(traffic: Traffic) -> None:
    for number in range(120):
        # All slow calls go to the big server, as do most others; its name explains nothing.
        slow = number % 8 == 7
        host = "big" if slow or traffic.random.random() < 0.8 else "small"
        fetching(traffic, traffic.run(), slow=slow, host=host, page=number % 3)
    found = told(traffic)
    assert "All" not in found.summary
    assert found.recommendation.startswith("Compare the slow and the usual calls")


def test_what_only_most_slow_calls_have_is_not_named(traffic: Traffic) -> None:
    for number in range(160):
        slow = number % 8 == 7
        host = "node-7" if slow and number % 3 else f"node-{traffic.random.randrange(8)}"
        fetching(traffic, traffic.run(), slow=slow, host=host)
    assert "node-7" not in told(traffic).summary


def test_one_long_run_is_one_witness(traffic: Traffic) -> None:
    """Its calls all went to one server and were all slow, as slow as those of other runs to others."""
    for number in range(60):
        fetching(traffic, traffic.run(), slow=number % 12 == 0, host=f"node-{number % 5}")
    run = traffic.run()
    for _ in range(12):
        fetching(traffic, run, slow=True, host="node-9")
    assert all("node-9" not in found.summary for found in findings_in(traffic, "latency"))


def test_work_that_was_asked_for_is_no_fault(traffic: Traffic) -> None:
    for number in range(120):
        deep = number % 8 == 7
        fetching(traffic, traffic.run(), slow=deep, host="node-1", depth="all" if deep else "one")
    found = told(traffic)
    assert found.detector == "slow_input"
    assert found.severity is Severity.INFO
    assert 'have argument "depth" set to "all"' in found.summary


def test_an_argument_that_is_given_at_all_can_be_why(traffic: Traffic) -> None:
    for number in range(120):
        extra = {"filter": f"colour {number}"} if number % 8 == 7 else {}
        fetching(traffic, traffic.run(), slow=bool(extra), **extra)
    found = told(traffic)
    assert found.detector == "slow_input"
    assert 'have argument "filter", of' in found.summary


def test_an_argument_of_many_quick_calls_is_not_why(traffic: Traffic) -> None:
    for number in range(160):
        asked = "eu" if number % 4 == 3 else "us"
        fetching(traffic, traffic.run(), slow=number % 8 == 7, region=asked)
    found = told(traffic)
    assert found.detector == "latency"
    assert 'have argument "region" set to "eu", of 140 usual ones 20' in found.summary


def test_a_cold_start_is_told(traffic: Traffic) -> None:
    for number in range(60):
        run = traffic.run()
        for step in range(6):
            fetching(traffic, run, slow=step == 0 and number % 3 == 0)
    assert "are the first of their run" in told(traffic).summary


def test_the_time_of_an_incident_is_told(traffic: Traffic) -> None:
    for number in range(140):
        run = traffic.run()
        run.now_ns += number * 30_000 * MS  # half a minute from run to run
        fetching(traffic, run, slow=40 <= number < 55)
    assert "began between 2023-11-14T22:30Z and 2023-11-14T22:50Z" in told(traffic).summary


def answering(traffic: Traffic, *, wait_ms: float, tokens: int, rate: float) -> None:
    spread = traffic.random.lognormvariate(0, 0.2)
    wait, write = wait_ms * spread, tokens / rate * 1000 * spread
    run = traffic.run().turn(ms=wait + write, first_token_ms=wait)
    run.rows[-1]["output_tokens"] = tokens


@pytest.mark.parametrize(
    ("slow", "sentence"),
    [
        ({"wait_ms": 9000}, "It is the wait for the first token"),
        ({"rate": 8.0}, "It is the writing, not the wait for the first token"),
    ],
)
def test_the_slow_part_of_a_model_s_answer_is_told(
    traffic: Traffic, slow: dict[str, float], sentence: str
) -> None:
    for number in range(120):
        usual = {"wait_ms": 300.0, "rate": 80.0}
        answering(traffic, tokens=150, **(usual | slow if number % 8 == 7 else usual))
    found = told(traffic)
    assert sentence in found.summary
    assert found.severity is Severity.WARN


def test_a_longer_answer_is_not_slow(traffic: Traffic) -> None:
    for number in range(120):
        answering(traffic, wait_ms=300, tokens=2500 if number % 8 == 7 else 150, rate=80)
    found = told(traffic)
    assert found.detector == "slow_input"
    assert "They write longer answers" in found.summary


def test_names_from_traces_are_quoted(traffic: Traffic) -> None:
    for number in range(120):
        slow = number % 8 == 7
        host = "evil\\n# [x](y)" if slow else "node"
        fetching(traffic, traffic.run(), slow=slow, host=host)
    found = told(traffic)
    assert "\n" not in found.summary + found.recommendation
    assert 'server.address "evil # [x](y)"' in found.summary


def test_circumstances_add_up_however_the_traces_are_cut(traffic: Traffic) -> None:
    """Also where an attribute has too many values in all traces, and not in each part."""
    for number in range(circumstances.VALUES_MAX + 30):
        run = traffic.run()
        for step in range(number % 3 + 1):
            about = {"page": str(number), "id": f"id-{number:05}", "mode": "ab"[number % 2]}
            fetching(traffic, run, slow=step == 1, host=f"node-{number % 5}", **about)
    ids = [run.trace_id for run in traffic.runs]
    with view_of(traffic.rows) as view:
        whole = circumstances.learn(frame.build(view.con, ids))
        parts = [
            circumstances.learn(frame.build(view.con, part))
            for part in (ids[::2], ids[1::4], ids[3::4])
        ]
    assert circumstances.merge(parts) == whole
    (calls,) = [one for group, one in whole.items() if group.target == "fetch"]
    assert set(calls.traits["argument page"]) == set(calls.traits["argument id"]) == {""}
    assert set(calls.traits["argument mode"]) == {"a", "b"}
