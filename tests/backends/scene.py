"""What happens before anything is asked: the demo's traffic, analysed by the service, told to real backends."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel.clock import NS_PER_S
from halo_otel.control.client import ControlClient
from halo_otel.demo.programme import bursts
from halo_otel.errors import Unreachable
from halo_otel.model.finding import Finding
from halo_otel.model.span import Span
from halo_otel.otlp.encode import SPANS_PER_REQUEST, request
from tests.backends.servers import Loki, Prometheus
from tests.collector_config.test_files import Target
from tests.collector_config.test_grafana import served
from tests.eval.alpha.windows import faulty
from tests.path.conftest import ROOT, Process, Service, eventually, free_port, get

CONFIG: Final = ROOT / "collector-config" / "grafana.yaml"
SETTINGS: Final = {
    "HALO_WINDOW_LENGTH": "24h",  # so that nothing is judged before all of it is there
    "HALO_ANALYSIS_TRACE_SETTLE": "1s",
    "HALO_TELEMETRY_METRICS_INTERVAL": "1s",
}
# Runs that use many times the tokens of others, of models with a price, in the two hours before the demo's.
COSTLY: Final = (2, "costly_runs")
COSTLY_AGO_S: Final = 1800
SENT: Final = 'sum(halo_emitter_sent_records_total{kind="log"})'
RECORDS: Final = 'sum(count_over_time({service_name!=""} | event_name=~"halo.+" [6h]))'


class Scene:
    """All processes, in `directory`; they end with `stack`. Tempo's place takes everything."""

    def __init__(
        self,
        loki: Loki,
        prometheus: Prometheus,
        collector: Path,
        directory: Path,
        stack: ExitStack,
    ) -> None:
        self.loki, self.prometheus = loki, prometheus
        self.tempo = Target()
        self._doors = {name: free_port() for name in ("GRPC", "HTTP", "FINDINGS", "HEALTH")}
        endpoint = {"HALO_EXPORTERS_OTLP_ENDPOINT": f"127.0.0.1:{self._doors['FINDINGS']}"}
        self.service = Service(directory / "service", SETTINGS | endpoint)
        self._collector = Process(directory / "collector.log")
        self._binary, self._directory, self._stack = collector, directory, stack

    def play(self) -> None:
        """Start everything, send the traffic and wait until the findings are told."""
        for backend in (self.loki, self.prometheus):
            self._stack.callback(backend.stop)
            backend.start()
        self._stack.callback(self.service.stop)
        self.service.start(wait=False)
        self._start_collector()
        self.loki.wait()
        self.prometheus.wait()
        self.service.wait_ready()
        self._send(traffic())
        eventually("all is stored", self._stored)
        with ControlClient(f"127.0.0.1:{self.service.grpc_port}") as client:
            eventually("it is analysed", lambda: analysed(client))
            eventually("figures are in Prometheus", lambda: self._counted(1))
            eventually("a rate needs a second analysis", lambda: analysed(client))
            eventually("the second figures, too", lambda: self._counted(2))
            self.findings = tuple(client.findings())
        eventually("all that was sent is in Loki", self.told)

    @cached_property
    def dearest(self) -> Finding:
        """The finding that wasted the most tokens."""
        return max(self.findings, key=lambda one: one.impact.tokens_wasted)

    @property
    def traces(self) -> set[str]:
        """The ids of the traces that Tempo was given."""
        return {
            span.trace_id.hex()
            for request in self.tempo.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    def _start_collector(self) -> None:
        tempo_port = served(self.tempo, 0, self._stack)
        environ = {
            "OTELCOL_LOKI_ENDPOINT": f"{self.loki.url}/otlp",
            "OTELCOL_PROMETHEUS_ENDPOINT": f"{self.prometheus.url}/api/v1/otlp",
            "OTELCOL_TEMPO_ENDPOINT": f"127.0.0.1:{tempo_port}",
            "HALO_ENDPOINT": f"127.0.0.1:{self.service.grpc_port}",
            "HALO_QUEUE_DIRECTORY": str(self._directory / "queue"),
        }
        environ |= {f"OTELCOL_{k}_ENDPOINT": f"127.0.0.1:{v}" for k, v in self._doors.items()}
        level = "--config=yaml:service::telemetry::metrics::level: none"
        self._stack.callback(self._collector.stop)
        self._collector.spawn([str(self._binary), f"--config={CONFIG}", level], environ)

        def healthy() -> bool:
            assert self._collector.running, self.log
            return get(f"http://127.0.0.1:{self._doors['HEALTH']}/")[0] == 200

        eventually("the Collector is ready", healthy)

    @property
    def log(self) -> str:
        """The Collector's."""
        return self._collector.log.read_text(encoding="utf-8")

    def _send(self, spans: tuple[Span, ...]) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{self._doors['GRPC']}") as channel:
            stub = TraceServiceStub(channel)
            for begin in range(0, len(spans), SPANS_PER_REQUEST):
                stub.Export(request(spans[begin : begin + SPANS_PER_REQUEST]), timeout=30)
        self._sent = len(spans)

    def _stored(self) -> bool:
        arrived = self.service.metric("halo_ingest_spans_total") >= self._sent
        return arrived and self.service.metric("halo_journal_bytes") == 0

    def told(self) -> bool:
        """Whether Loki has as many records as halo-otel sent."""
        waits = self.service.metric("halo_emitter_outbox")
        sent = self.prometheus.ask(SENT, instant=True).numbers
        return not waits and sent == self.loki.ask(RECORDS, instant=True).numbers

    def _counted(self, analyses: int) -> bool:
        """Whether what so many analyses counted came, and a second sample of it."""
        runs = f'sum(halo_analysis_runs_total{{trigger="demand"}}) >= {analyses}'
        asked = f"count_over_time(({runs})[1m:1s])"
        return max(self.prometheus.ask(asked, instant=True).numbers, default=0) >= 2


def analysed(client: ControlClient) -> bool:
    """Have it analysed now; False while the engine cannot be asked."""
    try:
        client.analyze()
    except Unreachable:
        return False
    return True


def traffic() -> tuple[Span, ...]:
    """What the demo plays, and costly runs beside it, all of it over by now."""
    now_ns = time.time_ns()
    played = [span for burst in bursts(now_ns) for span in burst.spans]
    return (*played, *_costly(now_ns))


def _costly(now_ns: int) -> Iterator[Span]:
    """They are of a fixed time: brought here."""
    spans = faulty(*COSTLY).spans
    later_ns = now_ns - COSTLY_AGO_S * NS_PER_S - max(span.end_ns for span in spans)
    for span in spans:
        events = tuple(replace(one, time_ns=one.time_ns + later_ns) for one in span.events)
        yield replace(
            span, start_ns=span.start_ns + later_ns, end_ns=span.end_ns + later_ns, events=events
        )
