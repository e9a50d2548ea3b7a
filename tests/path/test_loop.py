"""SDK spans → Collector → halo-otel → findings → Collector → file, field by field."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.path.agents import SERVICE, Agents
from tests.path.conftest import Collector, Service, eventually

pytestmark = pytest.mark.collector

FAST = {
    "HALO_WINDOW_LENGTH": "2s",
    "HALO_ANALYSIS_TRACE_SETTLE": "1s",
    "HALO_TELEMETRY_METRICS_INTERVAL": "1s",
}


def value(any_value: dict[str, Any]) -> Any:
    """A Python value from OTLP JSON's AnyValue."""
    ((kind, content),) = any_value.items()
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [value(item) for item in content.get("values", [])]
    return content


def attributes(item: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: value(pair["value"]) for pair in item.get("attributes", [])}


def records(collector: Collector) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """(resource attributes, scope, log record) of everything that came back as logs."""
    return [
        (attributes(resource_logs["resource"]), scope_logs["scope"], record)
        for request in collector.came_back("logs")
        for resource_logs in request["resourceLogs"]
        for scope_logs in resource_logs["scopeLogs"]
        for record in scope_logs["logRecords"]
    ]


def patterns(collector: Collector, category: str) -> list[dict[str, Any]]:
    return [
        record
        for _, _, record in records(collector)
        if record.get("eventName") == "halo.finding"
        and attributes(record)["halo.finding.category"] == category
    ]


@pytest.fixture(params=["otlp_grpc/halo", "otlp_http/halo"])
def loop(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    collector_binary: Path,
    start_service: Callable[..., Service],
) -> Iterator[tuple[Collector, Service]]:
    """A Collector in front of a service that reports back to it."""
    service = Service(tmp_path / "service", dict(FAST))
    collector = Collector(collector_binary, tmp_path / "collector", service, request.param)
    service.environ["HALO_EXPORTERS_OTLP_ENDPOINT"] = f"127.0.0.1:{collector.findings_port}"
    try:
        collector.start()
        service.start()
        yield collector, service
    finally:
        collector.stop()
        service.stop()


def test_a_loop_and_an_error_come_back_as_findings(loop: tuple[Collector, Service]) -> None:
    collector, service = loop
    agents = Agents(collector.agents_port)
    healthy = [agents.run(f"healthy-{i}") for i in range(8)]
    looping = [agents.run(f"loop-{i}", repeats=6) for i in range(4)]
    failing = [agents.run(f"fail-{i}", fails=True) for i in range(4)]
    agents.flush()
    agents.close()
    eventually("the loop is reported", lambda: patterns(collector, "loop"))
    eventually("the error is reported", lambda: patterns(collector, "error"))
    assert service.metric("halo_ingest_spans_total") == agents.spans

    _check_pattern(patterns(collector, "loop")[0], traces=len(looping))
    _check_pattern(patterns(collector, "error")[0], traces=len(failing))
    _check_occurrences(collector, set(looping) | set(failing), set(healthy))
    _check_analysis_span(collector, set(looping) | set(failing))
    _check_metrics(collector)
    _check_nothing_came_in_again(service)


def _check_pattern(record: dict[str, Any], traces: int) -> None:
    facts = attributes(record)
    assert facts["event.name"] == "halo.finding"
    assert facts["halo.finding.status"] == "new"
    assert facts["halo.finding.traces_affected"] == traces
    assert facts["gen_ai.agent.name"] == "booking"
    assert 0.5 <= facts["halo.finding.confidence"] <= 1
    assert record["severityNumber"] in {9, 13, 17}
    assert record["severityText"] in {"INFO", "WARN", "ERROR"}
    assert not record.get("traceId")  # a pattern belongs to no single trace
    assert "booking" in record["body"]["stringValue"]


def _check_occurrences(collector: Collector, faulty: set[str], healthy: set[str]) -> None:
    def occurrences() -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
        found = [r for r in records(collector) if r[2]["eventName"] == "halo.finding.occurrence"]
        return found if {r[2]["traceId"] for r in found} >= faulty else []

    for resource, scope, record in eventually("all occurrences are there", occurrences):
        assert resource["service.name"] == SERVICE
        assert resource["service.version"] == "2.3.1"
        assert scope["name"] == "halo_otel"
        assert record["traceId"] in faulty
        assert record["traceId"] not in healthy
        assert len(record["spanId"]) == 16
        assert int(record["timeUnixNano"]) < int(record["observedTimeUnixNano"])
        assert attributes(record)["event.name"] == "halo.finding.occurrence"


def _check_analysis_span(collector: Collector, faulty: set[str]) -> None:
    def analyses() -> list[dict[str, Any]]:
        return [
            span
            for request in collector.came_back("traces")
            for resource_spans in request["resourceSpans"]
            if attributes(resource_spans["resource"])["service.name"] == "halo-otel"
            for scope_spans in resource_spans["scopeSpans"]
            for span in scope_spans["spans"]
            if span["name"] == "halo.analysis"
        ]

    spans = eventually(
        "an analysis span links to the evidence", lambda: [s for s in analyses() if s.get("links")]
    )
    linked = {link["traceId"] for span in spans for link in span["links"]}
    assert linked <= faulty
    assert linked
    for span in spans:
        assert span["traceId"] not in faulty
        assert {event["name"] for event in span["events"]} == {"halo.finding"}


def _check_metrics(collector: Collector) -> None:
    def names() -> set[str]:
        return {
            metric["name"]
            for request in collector.came_back("metrics")
            for resource_metrics in request["resourceMetrics"]
            for scope_metrics in resource_metrics["scopeMetrics"]
            for metric in scope_metrics["metrics"]
        }

    eventually(
        "our metrics arrive",
        lambda: (
            {
                "halo.findings.open",
                "halo.ingest.spans",
                "halo.receiver.accepted_spans",
                "halo.receiver.request_duration_seconds",
                "halo.analysis.run_duration_seconds",
                "halo.process.cpu_seconds",
            }
            <= names()
        ),
    )


def _check_nothing_came_in_again(service: Service) -> None:
    assert service.metric("halo_receiver_looped_items_total") == 0


def test_ten_exporters_at_once(
    tmp_path: Path, collector_binary: Path, start_service: Callable[..., Service]
) -> None:
    service = start_service(**FAST, HALO_EXPORTERS_OTLP_ENABLED="false")
    collector = Collector(collector_binary, tmp_path / "collector", service, compression="none")
    try:
        collector.start()

        def one(index: int) -> int:
            agents = Agents(collector.agents_port, f"service-{index}")
            for run in range(20):
                agents.run(f"{index}-{run}", repeats=2)
            agents.flush()
            agents.close()
            return agents.spans

        with ThreadPoolExecutor(10) as pool:
            total = sum(pool.map(one, range(10)))
        eventually(
            "all spans are stored",
            lambda: service.metric("halo_ingest_spans_total") == total or None,
        )
    finally:
        collector.stop()
