"""Slow modes, and the long tails that are none."""

import math
import random

import pytest

from halo_otel.analysis.detectors.latency import slow_mode
from halo_otel.analysis.usual.histogram import BUCKET_WIDTH
from tests.analysis.conftest import Traffic, findings_in


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
