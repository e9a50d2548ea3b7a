"""OTLP/gRPC, health and reflection on one port, behind a `Door`.

Handlers take and give bytes: the request is journaled as it came. `maximum_concurrent_rpcs` must
never be used: gRPC would refuse with RESOURCE_EXHAUSTED without RetryInfo, which the Collector takes
for permanent and drops the data (measured; otlp-server.md §0.1). So what is too much is refused here,
and before it is read: to gRPC the one message of a request is a stream, of which a handler reads when
it likes. On the wire both are the same.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.config import sections
from halo_otel.errors import BadRequest, ConfigError, HaloError, TooLarge
from halo_otel.receiver.admission import Signal
from halo_otel.receiver.door import Door
from halo_otel.receiver.endpoint import listen
from halo_otel.receiver.intake import Intake
from halo_otel.selfobs import Counters

logger = logging.getLogger(__name__)

KEY: Final = "receivers.otlp.protocols.grpc"
_TRANSPORT: Final = "grpc"
_EOF: Final = grpc.aio.EOF  # type: ignore[attr-defined]  # not in the stubs
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING

# In-flight requests finish within it, new ones get UNAVAILABLE at once (measured; otlp-server.md
# §1.4). The Collector's attempts time out after 5 s anyway.
STOP_GRACE_S: Final = 5.0

_SERVICES: Final[dict[Signal, str]] = {
    "traces": trace_service_pb2.DESCRIPTOR.services_by_name["TraceService"].full_name,
    "logs": logs_service_pb2.DESCRIPTOR.services_by_name["LogsService"].full_name,
    "metrics": metrics_service_pb2.DESCRIPTOR.services_by_name["MetricsService"].full_name,
}

# The one table from our errors to gRPC's codes; whatever is not in it is UNAVAILABLE with RetryInfo.
# These two are permanent for the Collector: the same bytes can never be accepted.
_PERMANENT: Final[dict[type[Exception], grpc.StatusCode]] = {
    BadRequest: grpc.StatusCode.INVALID_ARGUMENT,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
}

Handler = Callable[[Any, Any], Awaitable[bytes]]


class GrpcServer:
    """Async context manager; stop is safe twice and unstarted.

    `handlers` and `services` add further services to the port, with their names for health and
    reflection (whose descriptors must be in the default pool).
    """

    def __init__(
        self,
        config: sections.Grpc,
        intake: Intake,
        counters: Counters,
        clock: Clock,
        *,
        handlers: "Sequence[grpc.GenericRpcHandler[Any, Any]]" = (),
        services: Sequence[str] = (),
    ) -> None:
        self._config = config
        self._intake = intake
        self._door = Door(config, KEY, _TRANSPORT, counters, clock)
        self._handlers = handlers
        self._services = (*_SERVICES.values(), *services)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # not in the stubs
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The port that is listened on, also when port 0 was configured."""
        return self._port

    async def __aenter__(self) -> "GrpcServer":
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._door)
            self._server = await self._started()
            stack.pop_all()
        return self

    async def _started(self) -> grpc.aio.Server:
        guards = [_Guard(self._door, self._intake)] if self._door.asks else []
        server = grpc.aio.server(options=self._options(), interceptors=guards)
        own = [self._generic_handler(signal) for signal in _SERVICES]
        server.add_generic_rpc_handlers((*own, *self._handlers))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        for name in self._services:
            await self._health.set(name, _SERVING)
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        for address in await asyncio.to_thread(_addresses, self._config.endpoint):
            try:
                self._port = self._listen(server, address)
            except RuntimeError as error:  # taken since _addresses looked
                raise ConfigError(
                    f"{KEY}.endpoint: cannot listen on {address}: choose another port"
                ) from error
        await server.start()
        return server

    def _listen(self, server: grpc.aio.Server, address: str) -> int:
        identity = self._door.identity
        if identity is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, identity.grpc_credentials())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        try:
            await self.drain()
            await server.stop(STOP_GRACE_S)
        finally:
            await self._door.__aexit__(None, None, None)

    async def drain(self) -> None:
        """Tell health checks that this server is about to stop."""
        await self._health.enter_graceful_shutdown()

    def _options(self) -> list[tuple[str, int]]:
        keepalive = self._config.keepalive
        return [
            ("grpc.max_receive_message_length", self._config.max_recv_msg_size_mib << 20),
            ("grpc.max_concurrent_streams", self._config.max_concurrent_streams),
            # A window that grows with the line's speed lets a client send many MB that nobody has asked for yet.
            ("grpc.http2.bdp_probe", 0),
            # gRPC counts each address by itself, and from the moment a connection is accepted.
            ("grpc.max_allowed_incoming_connections", self._config.max_connections),
            # Covers TLS and the first frame of HTTP/2; gRPC would wait for 2 minutes.
            ("grpc.server_handshake_timeout_ms", round(self._config.handshake_timeout * 1000)),
            # Who vanished without a word is noticed, and who wants nothing is asked to come back.
            ("grpc.keepalive_time_ms", round(keepalive.time * 1000)),
            ("grpc.keepalive_timeout_ms", round(keepalive.timeout * 1000)),
            ("grpc.max_connection_idle_ms", round(keepalive.max_connection_idle * 1000)),
            # A second instance on the port must fail instead of taking half of the connections.
            ("grpc.so_reuseport", 0),
            # gRPC cuts off clients that ping more often than every 5 minutes (GOAWAY
            # too_many_pings), which a Collector with `keepalive` set does (otlp-server.md §1.3).
            # A tenth less than configured: pings sent at the very interval arrive with jitter.
            ("grpc.http2.min_ping_interval_without_data_ms", round(keepalive.min_time * 900)),
            ("grpc.keepalive_permit_without_calls", 1),
        ]

    def _generic_handler(self, signal: Signal) -> "grpc.GenericRpcHandler[Any, Any]":
        method = grpc.stream_unary_rpc_method_handler(self._handler(signal))
        return grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": method})

    def _handler(self, signal: Signal) -> Handler:
        async def export(_requests: Any, context: Any) -> bytes:
            try:
                with self._intake.hold() as held:
                    async with self._intake.receiving(self._config.read_timeout):
                        request = await context.read()
                    if request is _EOF:  # the client is gone, or gRPC has refused its message
                        raise asyncio.CancelledError
                    held.grow(len(request))
                    response = await self._intake.export(signal, request, _TRANSPORT)
                    answer: bytes = response.SerializeToString()
                    return answer
            except HaloError as error:
                self._intake.count_refusal(error, _TRANSPORT)
                status = self._status(error)
            except Exception as error:
                # At the edge: gRPC would answer UNKNOWN, on which the Collector drops the data.
                logger.exception("a %s request over gRPC failed unexpectedly", signal)
                self._intake.count_internal_error(_TRANSPORT)
                status = self._status(error)
            await context.abort_with_status(status)
            raise AssertionError("abort_with_status raises")

        return export

    def _status(self, error: Exception) -> grpc.Status:
        code = _PERMANENT.get(type(error))
        if code is not None:
            return rpc_status.to_status(Status(code=code.value[0], message=str(error)))
        retry = RetryInfo()
        retry.retry_delay.FromNanoseconds(round(self._intake.retry_delay_s * NS_PER_S))
        detail = AnyMessage()
        detail.Pack(retry)
        message = str(error) if isinstance(error, HaloError) else "internal error: send it again"
        code = grpc.StatusCode.UNAVAILABLE
        return rpc_status.to_status(Status(code=code.value[0], message=message, details=[detail]))


class _Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in stubs only
    """Asks for a token before a request's message is read.

    Health checks are answered to everybody, as Kubernetes' gRPC probes can carry no token; all else,
    also the control API and reflection, is not.
    """

    def __init__(self, door: Door, intake: Intake) -> None:
        self._door = door
        self._intake = intake

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The handler of a call, or one that ends it."""
        service = handler_call_details.method.rpartition("/")[0].removeprefix("/")
        if service == health.SERVICE_NAME:
            return await continuation(handler_call_details)
        given = dict(handler_call_details.invocation_metadata or ()).get("authorization")
        reason = self._door.refusal(given if isinstance(given, str) else None)
        if reason is None:
            return await continuation(handler_call_details)
        if service in _SERVICES.values():
            self._intake.count_refusal(BadRequest(reason), _TRANSPORT)

        async def refuse(_requests: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, reason)

        return grpc.stream_stream_rpc_method_handler(refuse)


def _addresses(endpoint: str) -> list[str]:
    """The addresses gRPC is to listen on: those that this process could listen on a moment ago.

    gRPC opens its own sockets, but reports neither why it cannot nor that one of two is missing.
    """
    sockets = listen(endpoint, f"{KEY}.endpoint")
    names = [opened.getsockname()[:2] for opened in sockets]
    for opened in sockets:
        opened.close()
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in names]
