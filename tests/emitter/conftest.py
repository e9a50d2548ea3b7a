"""A Collector's receiving end: real gRPC servers that record, refuse, vanish and come back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from halo_otel.clock import NS_PER_S, ManualClock
from halo_otel.config.sections import Emit, OtlpExporter
from halo_otel.emitter import Emitter
from halo_otel.findings import Registry, RunInfo
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
from halo_otel.model.report import Coverage, Report, WindowSummary
from halo_otel.model.span import SpanId, TraceId
from halo_otel.selfobs import Counters

Decide = Callable[[Any], "tuple[grpc.StatusCode, float | None] | None"]


class Collector:
    """Records what it accepts. `refuse[signal]` may say per request with what code, and RetryInfo."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = {"logs": [], "traces": [], "metrics": []}
        self.order: list[str] = []
        self.calls = 0
        self.metadata: dict[str, Any] = {}
        self.refuse: dict[str, Decide] = {}
        self.rejected = 0
        self.signals = {"logs", "traces", "metrics"}
        self.hang: asyncio.Event | None = None
        self.called = asyncio.Event()
        self.received = asyncio.Event()
        self.port = 0
        self.credentials: grpc.ServerCredentials | None = None
        self._server: grpc.aio.Server | None = None

    @property
    def endpoint(self) -> str:
        return f"localhost:{self.port}"

    async def start(self) -> None:
        self._server = grpc.aio.server()
        modules: dict[str, tuple[Any, Any]] = {
            "logs": (logs_service_pb2_grpc.add_LogsServiceServicer_to_server, _Logs),
            "traces": (trace_service_pb2_grpc.add_TraceServiceServicer_to_server, _Traces),
            "metrics": (metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server, _Metrics),
        }
        for signal in sorted(self.signals):
            add, servicer = modules[signal]
            add(servicer(self), self._server)
        if self.credentials is None:
            self.port = self._server.add_insecure_port(self.endpoint)
        else:
            self.port = self._server.add_secure_port(self.endpoint, self.credentials)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def records(self) -> list[Any]:
        """All log records, in order of arrival."""
        return [
            record
            for request in self.requests["logs"]
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def spans(self) -> list[Any]:
        """All spans, in order of arrival."""
        return [
            span
            for request in self.requests["traces"]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    async def take(self, signal: str, request: Any, context: Any) -> None:
        self.calls += 1
        self.called.set()
        self.metadata = dict(context.invocation_metadata())
        if self.hang is not None:
            await self.hang.wait()
        refusal = self.refuse[signal](request) if signal in self.refuse else None
        if refusal is not None:
            code, retry_after_s = refusal
            if retry_after_s is not None:
                context.set_trailing_metadata((_retry_info(code, retry_after_s),))
            await context.abort(code, "not now\nor never")
        self.requests[signal].append(request)
        self.order.append(signal)
        self.received.set()


def _retry_info(code: Any, seconds: float) -> tuple[str, bytes]:
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=int(seconds))))
    status = Status(code=code.value[0], message="", details=[detail])
    return ("grpc-status-details-bin", status.SerializeToString())


class _Servicer:
    def __init__(self, collector: Collector) -> None:
        self.collector = collector


class _Logs(_Servicer, logs_service_pb2_grpc.LogsServiceServicer):  # type: ignore[misc]
    async def Export(self, request: Any, context: Any) -> Any:
        await self.collector.take("logs", request, context)
        response = logs_service_pb2.ExportLogsServiceResponse()
        if self.collector.rejected:
            response.partial_success.rejected_log_records = self.collector.rejected
            response.partial_success.error_message = "too odd"
        return response


class _Traces(_Servicer, trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
    async def Export(self, request: Any, context: Any) -> Any:
        await self.collector.take("traces", request, context)
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(_Servicer, metrics_service_pb2_grpc.MetricsServiceServicer):  # type: ignore[misc]
    async def Export(self, request: Any, context: Any) -> Any:
        await self.collector.take("metrics", request, context)
        return metrics_service_pb2.ExportMetricsServiceResponse()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    await collector.start()
    yield collector
    await collector.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def open_registry(tmp_path: Path, counters: Counters) -> Iterator[Callable[..., Registry]]:
    """Opens registries on one SQLite file; all are closed at the end."""
    opened: list[Registry] = []

    def open_one(**emit: Any) -> Registry:
        registry = Registry(f"sqlite:///{tmp_path / 'registry.sqlite'}", Emit(**emit), counters)
        registry.open()
        opened.append(registry)
        return registry

    yield open_one
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: Callable[..., Registry]) -> Registry:
    return open_registry()


@pytest.fixture
def make_emitter(
    registry: Registry, collector: Collector, clock: ManualClock, counters: Counters
) -> Callable[..., Emitter]:
    def make(registry: Registry = registry, **config: Any) -> Emitter:
        settings = OtlpExporter(**{"endpoint": collector.endpoint, "timeout": 5, **config})
        return Emitter(registry, settings, clock, counters, Random(7))

    return make


def build_finding(name: str = "loop", number: int = 0, **changes: Any) -> Finding:
    """A finding with three evidence spans of the agent `booking`."""
    subject = Subject(
        service="booking",
        agent="planner",
        tool="search_flights",
        model="small-1",
        attributes={"error.type": "Timeout", "operation": "search"},
    )
    traces = tuple(TraceId(f"{number + offset + 1:032x}") for offset in range(5))
    values: dict[str, Any] = {
        "fingerprint": fingerprint(name, subject),
        "detector": name,
        "category": "loop",
        "title": "search_flights repeats",
        "summary": "The agent repeats search_flights.",
        "subject": subject,
        "severity": Severity.ERROR,
        "confidence": 0.93,
        "impact": Impact(
            traces_affected=5,
            traces_exposed=36,
            tokens_wasted=41_000,
            cost_wasted=0.25,
            seconds_wasted=12.5,
        ),
        "effect": Effect(measure="rate", value=0.14, ci=(0.1, 0.2)),
        "traces": traces,
        "evidence": tuple(
            Evidence(
                trace_id=trace,
                span_id=SpanId(trace[-16:]),
                role=Role.CAUSE,
                note=f"call {place}",
                time_ns=1_699_999_000 * NS_PER_S + place,
                resource={"service.name": "booking", "raw": b"\x00\xff", "list": ["a", 1]},
            )
            for place, trace in enumerate(traces[:3])
        ),
        "root_cause": None,
        "recommendation": "Cache the result of search_flights.",
        "priority": 2.5,
    }
    return Finding(**{**values, **changes})


def build_report(*findings: Finding, judged: int = 36) -> Report:
    return Report(
        window=WindowSummary(
            start_ns=1_700_000_000 * NS_PER_S,
            end_ns=1_700_000_300 * NS_PER_S,
            traces=40,
            spans=320,
            services=("booking",),
            settled=judged,
            late=0,
        ),
        coverage=Coverage(payload_captured=1.0, outcome_known=0.5),
        findings=findings,
    )


RUN = RunInfo(
    start_ns=1_700_000_000 * NS_PER_S,
    end_ns=1_700_000_300 * NS_PER_S,
    trigger="window",
    duration_s=1.5,
)


@pytest.fixture
def record(registry: Registry, clock: ManualClock) -> Callable[..., None]:
    """Records a run with these findings."""
    ends_ns = count(RUN.end_ns)

    def record_run(*findings: Finding, judged: int = 36, registry: Registry = registry) -> None:
        run = replace(RUN, end_ns=next(ends_ns))  # another than the one before
        registry.record(build_report(*findings, judged=judged), run, clock.now_ns())

    return record_run


@pytest.fixture
def finding() -> Callable[..., Finding]:
    return build_finding
