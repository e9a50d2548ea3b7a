"""Nothing acknowledged is lost or doubled: the service is killed again and again under load."""

import random
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import duckdb
import grpc
import pytest
from tests.path.conftest import Collector, Service, eventually
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

KILLS = 20
SPANS_PER_REQUEST = 200


class Load(threading.Thread):
    """Sends spans to the Collector without pause and remembers which ones it accepted."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.accepted: set[str] = set()
        self.failure: BaseException | None = None
        self._stop = threading.Event()

    def run(self) -> None:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                stub = TraceServiceStub(channel)
                while not self._stop.is_set():
                    request, ids = _request()
                    stub.Export(request, timeout=30)
                    self.accepted.update(ids)
                    self._stop.wait(0.01)
        except BaseException as error:
            self.failure = error
            raise

    def finish(self) -> None:
        self._stop.set()
        self.join(timeout=60)
        assert self.failure is None


def _request() -> tuple[ExportTraceServiceRequest, list[str]]:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    scope_spans = resource_spans.scope_spans.add()
    ids = []
    for _ in range(SPANS_PER_REQUEST):
        span = scope_spans.spans.add()
        span.trace_id, span.span_id = uuid.uuid4().bytes, uuid.uuid4().bytes[:8]
        span.name, span.start_time_unix_nano, span.end_time_unix_nano = "step", 1, 2
        ids.append(span.trace_id.hex() + span.span_id.hex())
    return request, ids


def stored(directory: Path) -> tuple[set[str], int]:
    """The distinct spans in all window files, and how many rows they are stored in."""
    connection = duckdb.connect()
    ids: list[str] = []
    for index, path in enumerate(sorted(directory.glob("*.duckdb"))):
        connection.execute(f"ATTACH '{path}' AS w{index} (READ_ONLY)")
        rows = connection.execute(f"SELECT trace_id || span_id FROM w{index}.spans").fetchall()
        ids.extend(row[0] for row in rows)
    connection.close()
    return set(ids), len(ids)


@pytest.mark.crash
@pytest.mark.collector
def test_every_span_the_collector_sent_is_stored_once_over_20_kills(
    tmp_path: Path, collector_binary: Path, start_service: Callable[..., Service]
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    service = start_service(
        HALO_WINDOW_LENGTH="3s", HALO_ANALYSIS_TRACE_SETTLE="1s", HALO_EXPORTERS_OTLP_ENABLED="false"
    )
    collector = Collector(collector_binary, tmp_path / "collector", service)
    load = Load(collector.agents_port)
    try:
        collector.start()
        load.start()
        for _ in range(KILLS):
            threading.Event().wait(moments.uniform(0.05, 1.5))
            service.process.kill()
            service.start(wait=moments.random() < 0.7)
        service.wait_ready()
        load.finish()
        total = len(load.accepted)
        eventually("the Collector delivered everything", lambda: collector.sent_spans() >= total)
        eventually(
            "everything is ingested",
            lambda: service.metric("halo_journal_bytes") == 0 or None,
        )
    finally:
        collector.stop()
    service.stop()
    distinct, rows = stored(service.storage / "windows")
    print(f"{total} spans sent over {KILLS} kills, {rows - len(distinct)} deliveries repeated")
    assert load.accepted - distinct == set()
    assert distinct - load.accepted == set()
