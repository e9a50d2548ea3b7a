"""A service that is not started yet, and what the tests of faults do to it."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.path.conftest import Service, eventually, get


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(
        tmp_path / "service",
        {"HALO_EXPORTERS_OTLP_ENABLED": "false", "HALO_WINDOW_KEEP": "all"},
    )
    yield service
    service.stop()


def children(pid: int) -> list[int]:
    """The processes a process has started (proc(5))."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text(encoding="utf-8").split()]


def engine_of(service: Service) -> int:
    """The process id of the engine, once there is one."""
    popen = service.process.popen
    assert popen is not None
    return eventually("there is an engine", lambda: children(popen.pid))[0]


def request(first: int, count: int, text: str = "") -> ExportTraceServiceRequest:
    """`count` spans of their own traces, numbered from `first` on."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in range(first, first + count):
        span = spans.add(name=f"step {number}", start_time_unix_nano=1, end_time_unix_nano=2)
        span.trace_id = (number + 1).to_bytes(16, "big")
        span.span_id = (number + 1).to_bytes(8, "big")
        if text:
            span.attributes.add(key="text").value.string_value = text
    return message


def send(service: Service, message: ExportTraceServiceRequest) -> None:
    """Send until acknowledged, as a Collector does."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}", options=options) as channel:
        TraceServiceStub(channel).Export(message, timeout=60, wait_for_ready=True)


def readiness(service: Service) -> tuple[int, str]:
    return get(f"http://127.0.0.1:{service.web_port}/readyz")


def all_ingested(service: Service) -> None:
    """Wait until the journal holds nothing that is not in a window."""

    def done() -> bool:
        ready = readiness(service)[0] == 200
        return ready and service.metric("halo_journal_bytes") == 0

    eventually("everything is ingested", done, seconds=180)


def stored(service: Service) -> list[int]:
    """Stop the service; the numbers of the spans in its windows, as often as they are there."""
    # Imported here: a process that only sends needs no DuckDB.
    from halo_otel.config import sections
    from halo_otel.selfobs import Counters
    from halo_otel.window.store import WindowStore

    service.stop()
    store = WindowStore(service.storage / "windows", sections.Window(keep="all"), Counters())
    store.open()
    with store.view(0) as view:
        rows = view.con.execute("SELECT span_id FROM raw_spans ORDER BY span_id").fetchall()
    store.close()
    return [int(span_id, 16) - 1 for (span_id,) in rows]
