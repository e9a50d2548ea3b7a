"""The receiver as a whole: real servers, a real journal, raw clients."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.clock import Clock, ManualClock
from halo_otel.config import sections
from halo_otel.config.limiter import MemoryLimiter
from halo_otel.journal import Frame, Journal, JournalReader
from halo_otel.receiver.grpc_server import GrpcServer
from halo_otel.receiver.http_server import HttpServer
from halo_otel.receiver.intake import Intake
from halo_otel.receiver.memory import Memory
from halo_otel.selfobs import Counters
from tests.certificates import Issued

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
    memory: Memory

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
        """The sum over all reasons."""
        return sum(
            reading.value
            for reading in self.counters.snapshot()
            if reading.name == f"halo.receiver.{name}"
            and ("transport", transport) in reading.attributes
        )


@asynccontextmanager
async def running(
    directory: Path,
    *,
    otlp: dict[str, Any] | None = None,
    journal_max_bytes: int = 2 << 30,
    handlers: Sequence[Any] = (),
    services: Sequence[str] = (),
    clock: Clock | None = None,
    grpc_keys: dict[str, Any] | None = None,
    http_keys: dict[str, Any] | None = None,
    trusted: "Trusted | None" = None,
    used_bytes: Callable[[], int] = lambda: 0,
) -> AsyncIterator[Rig]:
    """A receiver on free ports.

    `otlp`, `grpc_keys` and `http_keys` override keys of `receivers.otlp` and of its two protocols;
    with `trusted` the clients speak TLS. `used_bytes` is the memory in use, of 1 GiB.
    """
    protocols = {
        "grpc": {"endpoint": "localhost:0", **(grpc_keys or {})},
        "http": {"endpoint": "localhost:0", **(http_keys or {})},
    }
    config = sections.Otlp.model_validate({"protocols": protocols, **(otlp or {})})
    counters = Counters()
    journal = Journal(
        directory, sections.Journal(max_bytes=journal_max_bytes), ManualClock(), counters
    )
    clock = clock or Ticking()
    limiter = MemoryLimiter(limit_mib=1024, check_interval=1e-9)
    memory = Memory(limiter, counters, ManualClock(), used_bytes)
    intake = Intake(journal, config, counters, memory)
    grpc_server = GrpcServer(
        config.protocols.grpc, intake, counters, clock, handlers=handlers, services=services
    )
    http_server = HttpServer(config.protocols.http, intake, counters, clock)
    async with journal, grpc_server, http_server:
        target = f"127.0.0.1:{grpc_server.port}"
        url = f"http{'s' if trusted else ''}://127.0.0.1:{http_server.port}"
        options = [("grpc.max_receive_message_length", -1)]
        async with (
            _channel(target, trusted, options) as channel,
            httpx.AsyncClient(
                base_url=url,
                timeout=60,
                trust_env=False,
                verify=trusted.context() if trusted else True,
            ) as client,
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
                memory=memory,
            )


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """What a client speaks TLS with: a CA, and a certificate of its own if it has one."""

    authority: Path
    own: Issued | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        if self.own is not None:
            context.load_cert_chain(self.own.cert, self.own.key)
        return context

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            self.authority.read_bytes(),
            self.own.key.read_bytes() if self.own else None,
            self.own.cert.read_bytes() if self.own else None,
        )


class Ticking(ManualClock):
    """A clock whose sleepers wait for `tick`."""

    def __init__(self) -> None:
        super().__init__()
        self._sleeping: list[tuple[float, asyncio.Future[None]]] = []
        self._awaited = 0
        self._asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._sleeping.append((seconds, waiting))
        if len(self._sleeping) >= self._awaited:
            self._asleep.set()
        await waiting

    async def tick(self, seconds: float) -> None:
        """Move on by `seconds`; returns when all who slept so long have worked and sleep again."""
        self.advance(seconds)
        due = [waiting for wanted_s, waiting in self._sleeping if wanted_s <= seconds]
        self._awaited = len(self._sleeping)
        self._sleeping = [pair for pair in self._sleeping if pair[1] not in due]
        if due:
            self._asleep.clear()
            for waiting in due:
                waiting.set_result(None)
            await self._asleep.wait()


def _channel(target: str, trusted: Trusted | None, options: Any) -> grpc.aio.Channel:
    if trusted is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, trusted.credentials(), options=options)


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
