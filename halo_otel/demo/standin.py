"""A stand-in for "your Collector" where the real one is not at hand: takes what halo-otel sends."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final

import grpc.aio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from halo_otel.demo.returned import Returned
from halo_otel.otlp.decode import decode_logs, decode_traces

_OTLP: Final = "opentelemetry.proto.collector"
_EMPTY: Final = b""  # every Export…ServiceResponse without a partial success


class StandIn:
    """An OTLP/gRPC server on a free port of this machine that keeps what it is sent."""

    def __init__(self) -> None:
        self.findings_endpoint = ""
        self._returned = Returned()
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> "StandIn":
        server = grpc.aio.server()
        for signal, keep in (
            ("trace.v1.TraceService", self._keep_spans),
            ("logs.v1.LogsService", self._keep_logs),
            ("metrics.v1.MetricsService", self._keep_metrics),
        ):
            handler = grpc.unary_unary_rpc_method_handler(_answer(keep))
            service = grpc.method_handlers_generic_handler(f"{_OTLP}.{signal}", {"Export": handler})
            server.add_generic_rpc_handlers((service,))
        self.findings_endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        self._server = server
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            await self._server.stop(grace=1)

    def returned(self) -> Returned:
        """What has come back so far."""
        return self._returned

    def _keep_spans(self, payload: bytes) -> None:
        self._returned.spans += decode_traces(payload)

    def _keep_logs(self, payload: bytes) -> None:
        self._returned.log_records += decode_logs(payload)

    def _keep_metrics(self, payload: bytes) -> None:
        request = ExportMetricsServiceRequest.FromString(payload)
        self._returned.metrics |= {
            metric.name
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def _answer(keep: Callable[[bytes], None]) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def answer(payload: bytes, _context: Any) -> bytes:
        await asyncio.to_thread(keep, payload)
        return _EMPTY

    return answer
