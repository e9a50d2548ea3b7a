"""Our own counters as OTLP metrics."""

import asyncio
from typing import Any

from halo_otel import __version__
from halo_otel.clock import SystemClock
from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter import Metrics
from halo_otel.selfobs import HELP, HISTOGRAMS, Counters


def metrics_of(collector: Any) -> dict[str, Any]:
    (resource_metrics,) = collector.requests["metrics"][-1].resource_metrics
    (scope_metrics,) = resource_metrics.scope_metrics
    assert (scope_metrics.scope.name, scope_metrics.scope.version) == ("halo_otel", __version__)
    attributes = {a.key: a.value.string_value for a in resource_metrics.resource.attributes}
    assert attributes == {
        "service.name": "halo-otel",
        "service.version": __version__,
        "service.instance.id": "pod-1",
    }
    return {metric.name: metric for metric in scope_metrics.metrics}


def make(collector: Any, front: Counters, engine: Counters, **config: Any) -> Metrics:
    settings = OtlpExporter(**{"endpoint": collector.endpoint, "timeout": 5, **config})
    return Metrics(
        settings,
        lambda: [*front.snapshot(), *engine.snapshot()],
        engine,
        SystemClock(),
        interval_s=3600,
        replica="pod-1",
    )


async def test_readings_of_both_processes_arrive(collector: Any) -> None:
    front, engine = Counters(), Counters()
    front.add("halo.receiver.accepted_spans", 7, transport="grpc")
    front.add("halo.receiver.accepted_spans", 2, transport="http")
    engine.add("halo.receiver.accepted_spans", 1, transport="http")
    engine.set("halo.findings.open", 3, category="loop", severity="warn", service="booking")
    engine.set("halo.analysis.duration_seconds", 1.25)
    engine.set("halo.window.lag_seconds", 0.5)
    async with make(collector, front, engine) as metrics:
        await metrics.flush()
        received = metrics_of(collector)
        engine.clear("halo.findings.open")
        await metrics.flush()
        assert "halo.findings.open" not in metrics_of(collector)
    accepted = received["halo.receiver.accepted_spans"]
    assert accepted.sum.is_monotonic
    assert accepted.description == HELP["halo.receiver.accepted_spans"]
    assert {
        point.attributes[0].value.string_value: point.as_int for point in accepted.sum.data_points
    } == {"grpc": 7, "http": 3}
    (point,) = received["halo.findings.open"].gauge.data_points
    assert point.as_int == 3
    assert {a.key: a.value.string_value for a in point.attributes} == {
        "category": "loop",
        "severity": "warn",
        "service": "booking",
    }
    duration = received["halo.analysis.duration_seconds"]
    assert (duration.unit, duration.gauge.data_points[0].as_double) == ("s", 1.25)
    assert received["halo.window.lag_seconds"].gauge.data_points[0].as_double == 0.5
    assert set(received) <= set(HELP)


async def test_the_last_sample_is_sent_on_the_way_out(collector: Any) -> None:
    counters = Counters()
    counters.add("halo.analysis.runs")
    async with make(collector, counters, Counters()):
        assert collector.requests["metrics"] == []
    assert "halo.analysis.runs" in metrics_of(collector)


async def test_a_down_collector_is_counted_and_not_in_the_way(collector: Any) -> None:
    counters = Counters()
    counters.add("halo.analysis.runs")
    await collector.stop()
    metrics = make(collector, counters, Counters())
    await metrics.__aexit__(None, None, None)
    engine = Counters()
    async with make(collector, counters, engine) as metrics:
        await metrics.flush()
        assert engine.value("halo.emitter.failed_attempts", kind="metric") == 1
        await collector.start()
    await metrics.__aexit__(None, None, None)


async def test_totals_are_cumulative_since_each_process_began(collector: Any) -> None:
    front, engine = Counters(since_ns=100), Counters(since_ns=900)
    front.add("halo.receiver.accepted_spans", 7)
    front.add("halo.llm.cost", 0.25)
    for seconds in (0.005, 0.02, 7.0, 1e6):
        front.observe("halo.receiver.request_duration_seconds", seconds, transport="grpc")
    engine.add("halo.analysis.runs", 2)
    engine.set("halo.findings.open", 1)
    async with make(collector, front, engine) as metrics:
        await metrics.flush()
        received = metrics_of(collector)
    for name, since_ns in (("halo.receiver.accepted_spans", 100), ("halo.analysis.runs", 900)):
        total = received[name].sum
        assert total.aggregation_temporality == 2  # cumulative
        assert total.data_points[0].start_time_unix_nano == since_ns
        assert total.data_points[0].time_unix_nano > since_ns
    assert received["halo.llm.cost"].sum.data_points[0].as_double == 0.25
    assert received["halo.findings.open"].gauge.data_points[0].start_time_unix_nano == 0
    metric = received["halo.receiver.request_duration_seconds"]
    assert (metric.unit, metric.histogram.aggregation_temporality) == ("s", 2)
    (point,) = metric.histogram.data_points
    assert (point.count, point.sum, point.start_time_unix_nano) == (4, 1_000_007.025, 100)
    assert list(point.explicit_bounds) == [*HISTOGRAMS["halo.receiver.request_duration_seconds"]]
    assert list(point.bucket_counts) == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert [(pair.key, pair.value.string_value) for pair in point.attributes] == [
        ("transport", "grpc")
    ]


async def test_a_sample_goes_at_every_interval(collector: Any) -> None:
    counters = Counters()
    counters.add("halo.analysis.runs")
    settings = OtlpExporter(endpoint=collector.endpoint)
    metrics = Metrics(
        settings, counters.snapshot, counters, SystemClock(), interval_s=0.01, replica="pod-1"
    )
    async with asyncio.timeout(20), metrics:
        while len(collector.requests["metrics"]) < 3:
            await collector.received.wait()
            collector.received.clear()
    assert counters.value("halo.emitter.sent_records", kind="metric") >= 3
