"""Nothing acknowledged is lost or doubled: the service is killed again and again under load."""

import random
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel.config import sections
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.path.conftest import Collector, Service, eventually

KILLS = 20
# Many requests, so that each kill meets some under way, and small ones: how much is in them proves nothing.
SPANS_PER_REQUEST = 20
PAUSE_S = 0.02


class Load(threading.Thread):
    """Sends spans to the Collector in quick succession and remembers which ones it accepted."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.accepted: set[str] = set()
        self.failure: BaseException | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                stub = TraceServiceStub(channel)
                while not self._ended.is_set():
                    request, ids = _request()
                    stub.Export(request, timeout=30)
                    self.accepted.update(ids)
                    self._ended.wait(PAUSE_S)
        except BaseException as error:
            self.failure = error
            raise

    def finish(self) -> None:
        self._ended.set()
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


def stored(directory: Path) -> list[str]:
    """The spans of all windows as a view shows them, one entry a row."""
    store = WindowStore(directory, sections.Window(), Counters())
    store.open()
    with store.view(0) as view:
        rows = view.con.execute("SELECT trace_id || span_id FROM spans").fetchall()
        repeated = view.con.execute("SELECT count(*) FROM raw_spans").fetchall()[0][0] - len(rows)
    store.close()
    print(f"{repeated} spans were delivered again after their acknowledgement was cut off")
    return [row[0] for row in rows]


@pytest.mark.crash
@pytest.mark.collector
def test_every_span_the_collector_sent_is_stored_once_over_20_kills(
    tmp_path: Path, collector_binary: Path, start_service: Callable[..., Service]
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    service = start_service(
        HALO_WINDOW_LENGTH="3s",
        HALO_WINDOW_KEEP="all",  # the spans bear no agent telemetry
        HALO_ANALYSIS_TRACE_SETTLE="1s",
        HALO_EXPORTERS_OTLP_ENABLED="false",
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
    rows = stored(service.storage / "windows")
    print(f"{total} spans sent over {KILLS} kills")
    assert len(rows) == len(set(rows)), "a span stands twice"
    assert set(rows) == load.accepted
