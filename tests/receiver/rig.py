"""The receiver as a whole: real servers, a real journal, raw clients."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.journal import Frame, Journal, JournalReader
from halo_otel.receiver.grpc_server import GrpcServer
from halo_otel.receiver.http_server import HttpServer
from halo_otel.receiver.intake import Intake
from halo_otel.selfobs import Counters

SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
PROTOBUF = "application/x-protobuf"


@dataclass
class Rig:
    """Running servers and what a test asks of them."""

    directory: Path
    journal: Journal
    intake: Intake
    counters: Counters
    grpc_server: GrpcServer
    http_server: HttpServer
    channel: grpc.aio.Channel
    client: httpx.AsyncClient

    async def export(self, signal: str, payload: bytes, **options: Any) -> bytes:
        """The raw answer of the gRPC method; raises AioRpcError."""
        call = self.channel.unary_unary(f"/{SERVICES[signal]}/Export", None, None)
        answer: bytes = await call(payload, **options)
        return answer

    async def refusal(self, signal: str, payload: bytes, **options: Any) -> grpc.aio.AioRpcError:
        """The error of the gRPC method."""
        try:
            answer = await self.export(signal, payload, **options)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"answered {answer!r}")

    async def post(
        self, signal: str, body: bytes, content_type: str = PROTOBUF, **headers: str
    ) -> httpx.Response:
        """POST `body` to the signal's path."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.client.post(
            f"/v1/{signal}", content=body, headers={"content-type": content_type, **named}
        )

    def frames(self) -> list[Frame]:
        """Everything journaled so far."""
        with JournalReader(self.directory, 0) as reader:
            return reader.read(self.journal.durable_offset, 1 << 40)

    def count(self, name: str, transport: str = "grpc") -> float:
        return self.counters.value(f"halo.receiver.{name}", transport=transport)


@asynccontextmanager
async def running(
    directory: Path,
    *,
    otlp: dict[str, Any] | None = None,
    journal_max_bytes: int = 2 << 30,
    handlers: Sequence[Any] = (),
    services: Sequence[str] = (),
) -> AsyncIterator[Rig]:
    """A receiver on free ports; `otlp` overrides keys of `receivers.otlp`."""
    config = sections.Otlp.model_validate(
        {
            "protocols": {"grpc": {"endpoint": "localhost:0"}, "http": {"endpoint": "localhost:0"}},
            **(otlp or {}),
        }
    )
    counters = Counters()
    journal = Journal(
        directory, sections.Journal(max_bytes=journal_max_bytes), ManualClock(), counters
    )
    intake = Intake(journal, config, counters)
    grpc_server = GrpcServer(config.protocols.grpc, intake, handlers=handlers, services=services)
    http_server = HttpServer(config.protocols.http, intake)
    async with journal, grpc_server, http_server:
        target = f"127.0.0.1:{grpc_server.port}"
        url = f"http://127.0.0.1:{http_server.port}"
        options = [("grpc.max_receive_message_length", -1)]
        async with (
            grpc.aio.insecure_channel(target, options=options) as channel,
            httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client,
        ):
            yield Rig(
                directory=directory,
                journal=journal,
                intake=intake,
                counters=counters,
                grpc_server=grpc_server,
                http_server=http_server,
                channel=channel,
                client=client,
            )


def trace_request(
    spans: int = 3, service: str = "booking", scope: str = "agents"
) -> ExportTraceServiceRequest:
    """A request with `spans` valid spans."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope
    for number in range(1, spans + 1):
        scope_spans.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name=f"s{number}",
        )
    return request


def log_request(
    records: int = 3, service: str = "booking", scope: str = "agents"
) -> ExportLogsServiceRequest:
    """A request with `records` valid log records."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.add(key="service.name").value.string_value = service
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = scope
    for number in range(1, records + 1):
        record = scope_logs.log_records.add(
            trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big")
        )
        record.body.string_value = f"record {number}"
    return request
