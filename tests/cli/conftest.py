"""What the command line talks to: a real control service, real receivers, real files."""

import asyncio
import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from halo_otel.cli import main
from halo_otel.clock import NS_PER_S, SystemClock
from halo_otel.config.sections import Emit
from halo_otel.control.server import ControlServer
from halo_otel.control.sources import ServiceStatus, Sources, TraceSummary
from halo_otel.demo import bundled
from halo_otel.demo.faults import Fault, FaultKind
from halo_otel.demo.traffic import generate
from halo_otel.findings.registry import Registry
from halo_otel.findings.values import DroppedClaim, RunInfo
from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    Severity,
    Subject,
    fingerprint,
)
from halo_otel.model.goal import GoalNode, Level, Verdict
from halo_otel.model.report import Coverage, Report, WindowSummary
from halo_otel.model.span import SpanId, TraceId
from halo_otel.otlp.encode import requests
from halo_otel.selfobs import Counters, Reading
from halo_otel.window import LetGo, WindowInfo

REAL = Path(bundled.__file__).parent / "traces" / "intercode-sql.jsonl.gz"
START_NS = 1_763_690_000 * NS_PER_S
TRACE = TraceId("0af7651916cd43dd8448eb211c80319c")
SPAN = SpanId("b7ad6b7169203331")
# What a stranger may put into a trace to take over a terminal or a console's markup.
NASTY = "[red]boo[/red]\x1b[2J\x9b31m\u202e:bomb:\nnext"


def finding(name: str, severity: Severity, priority: float) -> Finding:
    subject = Subject(service="travel", tool=name)
    return Finding(
        fingerprint=fingerprint("loop.exact", subject),
        detector="loop.exact",
        category="loop",
        title=f"{name} {NASTY}",
        summary=NASTY,
        subject=subject,
        severity=severity,
        confidence=0.9,
        impact=Impact(traces_affected=1, traces_exposed=9, tokens_wasted=41_000),
        effect=Effect(measure="share", value=0.11, ci=(0.02, 0.43)),
        traces=(TRACE,),
        evidence=(
            Evidence(trace_id=TRACE, span_id=SPAN, role=Role.CAUSE, note=NASTY, time_ns=START_NS),
        ),
        root_cause=None,
        recommendation=NASTY,
        priority=priority,
    )


FINDINGS = (finding("high", Severity.ERROR, 2.0), finding("low", Severity.WARN, 1.0))
REPORT = Report(
    window=WindowSummary(
        start_ns=START_NS,
        end_ns=START_NS + 300 * NS_PER_S,
        traces=9,
        spans=81,
        services=("travel",),
        settled=9,
        late=0,
    ),
    coverage=Coverage(payload_captured=1.0, outcome_known=0.5),
    findings=FINDINGS,
)


def node(index: int, parent: int, level: Level, name: str, correctness: Verdict) -> GoalNode:
    return GoalNode(
        index=index,
        parent=parent,
        level=level,
        name=name,
        agent="booking" if level == Level.RUN else None,
        trace_id=TRACE,
        span_id=SPAN if level > Level.RUN else SpanId(""),
        start_ns=START_NS,
        end_ns=START_NS + 1_500_000_000,
        tokens=530 if level < Level.STEP else None,
        correctness=correctness,
        latency=Verdict.OK,
        resources=Verdict.OK,
    )


NODES = (
    node(0, -1, Level.SESSION, "book a flight", Verdict.RECOVERED),
    node(1, 0, Level.RUN, NASTY, Verdict.RECOVERED),
    node(2, 1, Level.SUBGOAL, "search", Verdict.RECOVERED),
    node(3, 2, Level.STEP, "first turn", Verdict.BAD),
)


DROPPED = tuple(
    DroppedClaim(
        at_ns=START_NS,
        reason="quote_not_found",
        why=f"{number} {NASTY}",
        statement=NASTY,
        subject=Subject(tool="search"),
        cluster=FINDINGS[0].fingerprint,
        asked="small-1",
    )
    for number in ("older", "newer")
)


def sources(registry: Registry) -> Sources:
    window = WindowInfo(
        start_ns=START_NS,
        end_ns=START_NS + 300 * NS_PER_S,
        state="sealed",
        path=Path("windows/1.duckdb"),
        spans=81,
        log_records=2,
        bytes_=4096,
        let_go=LetGo(1, 20, 3),
    )
    trace = TraceSummary(
        trace_id=TRACE,
        service="travel",
        name=NASTY,
        agent=None,
        start_ns=START_NS,
        end_ns=START_NS + 7,
        spans=9,
        failed_spans=1,
        tokens=1530,
    )
    status = ServiceStatus(
        version="0.1.0",
        ready=True,
        lag_s=0.25,
        backlog_bytes=17,
        readings=(Reading("halo.findings.open", (("severity", "warn"),), 2.0),),
    )

    async def analyze() -> Report:
        return REPORT

    return Sources(
        registry=registry,
        windows=lambda: [window],
        traces=lambda start_ns, limit: [trace] if start_ns == START_NS else [],
        tree=lambda trace_id: NODES if trace_id == TRACE else [],
        session_tree=lambda session: NODES if session == "s 1" else [],
        analyze=analyze,
        report=lambda: REPORT,
        status=lambda: status,
    )


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """A control service in another thread; gives its address."""
    registry = Registry(f"sqlite:///{tmp_path / 'registry.sqlite'}", Emit(), Counters())
    registry.open()
    run = RunInfo(start_ns=START_NS, end_ns=START_NS + 1, trigger="window", duration_s=1.0)
    registry.record(REPORT, run, START_NS)
    registry.record_model(REPORT, run, START_NS, None, DROPPED, dropped_max=10)
    port: list[int] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with ControlServer(sources(registry), SystemClock(), "127.0.0.1:0") as server:
            port.append(server.port)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    yield f"127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()
    registry.close()


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return f"127.0.0.1:{server.server_port}"


@dataclass
class Receiver:
    """What a receiver took, and the answers it still has for the next requests."""

    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    endpoint: str = ""

    def next_answer(self) -> str:
        return self.answers.pop(0) if self.answers else "accept"

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def grpc_receiver() -> Iterator[Receiver]:
    """A real OTLP/gRPC server that records, and answers as it is told."""
    receiver = Receiver()

    class Service(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
        def Export(
            self, request: ExportTraceServiceRequest, context: Any
        ) -> ExportTraceServiceResponse:
            answer = receiver.next_answer()
            if answer == "throttle":
                detail = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=7))
                status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="busy")
                status.details.add().Pack(detail)
                context.abort_with_status(rpc_status.to_status(status))
            if answer != "accept" and answer != "partial":
                context.abort(grpc.StatusCode[answer], "as told")
            receiver.requests.append(request)
            response = ExportTraceServiceResponse()
            if answer == "partial":
                response.partial_success.rejected_spans = 2
                response.partial_success.error_message = NASTY
            return response

    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
    receiver.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield receiver
    server.stop(None).wait()


@pytest.fixture
def http_receiver() -> Iterator[Receiver]:
    """A real OTLP/HTTP server that records, and answers as it is told (`accept` or a status)."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = receiver.next_answer()
            code = 200 if answer == "accept" else int(answer)
            if code == 200 and self.path == "/v1/traces":
                receiver.requests.append(ExportTraceServiceRequest.FromString(body))
            reply = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
            self.send_response(code)
            if code == 503:
                self.send_header("Retry-After", "7")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:
            """Not on the tests' standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.endpoint = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def protobuf_requests() -> list[bytes]:
    """Generated agents of which one loops, as export requests."""
    loop = Fault(
        kind=FaultKind.EXACT_LOOP,
        service="travel-assistant",
        agent="flights",
        tool="search_flights",
        rate=0.5,
    )
    traffic = generate(
        seed="cli", runs=20, start_ns=START_NS, duration_ns=60 * NS_PER_S, faults=(loop,)
    )
    return list(requests(traffic.spans))


@pytest.fixture(scope="session")
def traces_file(tmp_path_factory: pytest.TempPathFactory, protobuf_requests: list[bytes]) -> Path:
    """Length-prefixed requests, as the Collector's file exporter writes them in `format: proto`."""
    path = tmp_path_factory.mktemp("traces") / "traces.binpb"
    framed = (len(request).to_bytes(4, "big") + request for request in protobuf_requests)
    path.write_bytes(b"".join(framed))
    return path


@pytest.fixture(scope="session")
def real_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first of the bundled real traces, one in a line: for what does not ask how many there are."""
    lines = gzip.decompress(REAL.read_bytes()).splitlines(keepends=True)
    path = tmp_path_factory.mktemp("real") / "real.jsonl"
    path.write_bytes(b"".join(lines[:20]))
    return path


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs the real command in a process of its own, without our environment's `HALO_…`."""

    def run(
        *arguments: str | Path, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("HALO_")}
        return subprocess.run(
            [sys.executable, "-m", "halo_otel", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**clean, "HOME": str(tmp_path), **(environ or {})},
        )

    return run


@pytest.fixture
def main_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """As `command`, in this process: for the many cases of what one real process has shown."""
    for name in [name for name in os.environ if name.startswith("HALO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = ["halo-otel", *map(str, arguments)]
        monkeypatch.setattr("sys.argv", line)
        with pytest.raises(SystemExit) as left:
            main()
        assert isinstance(left.value.code, int)
        return subprocess.CompletedProcess(line, left.value.code, *capsys.readouterr())

    return run
