"""`grafana.yaml` in the real Collector: what agents and halo-otel send reaches the right doors of the backends."""

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceStub,
    add_TraceServiceServicer_to_server,
)

from tests.collector_config.conftest import Running
from tests.collector_config.test_files import FOLDER, Target, finding, traces

LOKI, PROMETHEUS = "/otlp/v1/logs", "/api/v1/otlp/v1/metrics"


class Backend(ThreadingHTTPServer):
    """Loki and Prometheus as the Collector sees them: they take every request."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: dict[str, list[bytes]] = {LOKI: [], PROMETHEUS: []}
        super().__init__(("127.0.0.1", 0), Taking)


class Taking(BaseHTTPRequestHandler):
    """Answers 200 on the doors that there are, and 404 on others."""

    server: Backend

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        known = self.path in self.server.bodies
        if known:
            self.server.bodies[self.path].append(body)
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def served(target: Target, port: int, stack: ExitStack) -> int:
    """`target` behind a gRPC server at `port`, or any where it is 0; the port."""
    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(target, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    stack.callback(lambda: server.stop(None).wait())
    return int(bound)


def sample() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="halo.findings.open").gauge.data_points.add(as_int=1)
    return request


def names(target: Target) -> set[str]:
    return {
        span.name
        for request in target.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


@pytest.mark.collector
def test_findings_and_agents_telemetry_reach_loki_tempo_and_prometheus(
    collector: Running, backend: Backend
) -> None:
    address = f"http://127.0.0.1:{backend.server_port}"
    tempo, halo = Target(), Target()
    with ExitStack() as stack:
        tempo_port = served(tempo, 0, stack)
        collector.nobody.close()
        served(halo, collector.halo_port, stack)
        process = stack.enter_context(
            collector.started(
                FOLDER / "grafana.yaml",
                f"yaml:exporters::otlp_http/loki::endpoint: {address}/otlp",
                f"yaml:exporters::otlp_http/prometheus::endpoint: {address}/api/v1/otlp",
                f"yaml:exporters::otlp_grpc/tempo::endpoint: 127.0.0.1:{tempo_port}",
            )
        )
        agents = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{collector.ports['GRPC']}"))
        TraceServiceStub(agents).Export(traces("agent", 3), timeout=10, wait_for_ready=True)
        own = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{collector.ports['FINDINGS']}"))
        LogsServiceStub(own).Export(finding(), timeout=10, wait_for_ready=True)
        TraceServiceStub(own).Export(traces("halo.analysis", 1), timeout=10)
        MetricsServiceStub(own).Export(sample(), timeout=10)
        collector.wait(process, lambda: names(tempo) == {"agent", "halo.analysis"})
        collector.wait(process, lambda: all(backend.bodies.values()))
        collector.wait(process, lambda: names(halo) == {"agent"})
    [body] = backend.bodies[LOKI]
    request = ExportLogsServiceRequest.FromString(body)
    [record] = request.resource_logs[0].scope_logs[0].log_records
    assert record.body.string_value == "a finding"
    [body] = backend.bodies[PROMETHEUS]
    assert b"halo.findings.open" in body
