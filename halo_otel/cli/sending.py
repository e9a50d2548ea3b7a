"""Trace requests over OTLP to any receiver, as a well-behaved client sends them.

The receiver's answer to one attempt is one of three (OTLP 1.11, "Failures"):

    Accepted    possibly without some spans it could not take (`partial_success`)
    TryAgain    now it cannot, later it may: retryable codes, with the wait it asked for
    Refused     this request it will never take
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from halo_otel.cli.receiver import Target
from halo_otel.clock import NS_PER_S, Clock
from halo_otel.errors import ConfigError, Unreachable
from halo_otel.tls import channel_credentials, client_context, name_options

ATTEMPT_TIMEOUT_S: Final = 30.0
IN_FLIGHT: Final = 10  # as many consumers as a Collector's exporter has
BACKOFF_S: Final = (0.5, 10.0)  # the first wait and the longest; it doubles in between
PATIENCE_S: Final = 120.0  # waits between attempts at one request, added up, before giving up
_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TLS_KEY: Final = "--tls-ca or control.tls"
_RETRYABLE: Final = frozenset(  # OTLP 1.11, "OTLP/gRPC Response", table of codes
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_RETRYABLE_HTTP: Final = frozenset({429, 502, 503, 504})  # OTLP 1.11, "Retryable Response Codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Taken, but for `rejected` spans; `message` says why, or warns."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """Not now; `delay_s` if the receiver named a time."""

    why: str
    delay_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Never."""

    why: str


Send: TypeAlias = Callable[[bytes], Awaitable[Accepted | TryAgain | Refused]]


@dataclass(slots=True, kw_only=True)
class Totals:
    """What became of what was sent."""

    requests: int = 0
    accepted_spans: int = 0
    rejected_spans: int = 0
    refused_requests: int = 0
    retries: int = 0


class Delivery:
    """Sends requests, several at once, and sends again what is to be sent again.

    `rate` is in spans per second. `on_progress` is told the totals after each request, `on_trouble`
    each refusal and warning. `run` raises Unreachable after `PATIENCE_S` without success.
    """

    def __init__(
        self,
        send: Send,
        clock: Clock,
        on_progress: Callable[[Totals], None],
        on_trouble: Callable[[str], None],
        rate: float | None = None,
    ) -> None:
        self._send = send
        self._clock = clock
        self._on_progress = on_progress
        self._on_trouble = on_trouble
        self._rate = rate
        self._reading = asyncio.Lock()
        self._due_ns = 0
        self.totals = Totals()

    async def run(self, requests: Iterator[ExportTraceServiceRequest]) -> Totals:
        """Deliver all `requests`; returns what became of them."""
        self._due_ns = self._clock.now_ns()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(IN_FLIGHT):
                    group.create_task(self._work(requests))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return self.totals

    async def _work(self, requests: Iterator[ExportTraceServiceRequest]) -> None:
        while True:
            async with self._reading:
                request = await asyncio.to_thread(next, requests, None)
                if request is None:
                    return
                spans = span_count(request)
                await self._pace(spans)
            await self._deliver(request.SerializeToString(), spans)

    async def _pace(self, spans: int) -> None:
        if self._rate is None:
            return
        await self._clock.sleep(max(0, self._due_ns - self._clock.now_ns()) / NS_PER_S)
        self._due_ns += round(spans / self._rate * NS_PER_S)

    async def _deliver(self, payload: bytes, spans: int) -> None:
        wait_s, waited_s = BACKOFF_S[0], 0.0
        while isinstance(answer := await self._send(payload), TryAgain):
            if waited_s >= PATIENCE_S:
                raise Unreachable(f"{answer.why}: gave up after {waited_s:.0f} s of waiting")
            if not waited_s and not self.totals.retries:
                self._on_trouble(f"{answer.why}: trying again for {PATIENCE_S:.0f} s")
            pause_s = wait_s if answer.delay_s is None else max(wait_s, answer.delay_s)
            self.totals.retries += 1
            await self._clock.sleep(pause_s)
            waited_s += pause_s
            wait_s = min(wait_s * 2, BACKOFF_S[1])
        self._count(answer, spans)

    def _count(self, answer: Accepted | Refused, spans: int) -> None:
        totals = self.totals
        totals.requests += 1
        if isinstance(answer, Refused):
            totals.refused_requests += 1
            self._on_trouble(f"a request of {spans} spans was refused: {answer.why}")
        else:
            totals.accepted_spans += spans - answer.rejected
            totals.rejected_spans += answer.rejected
            if answer.message:
                self._on_trouble(f"the receiver says: {answer.message}")
        self._on_progress(totals)


def span_count(request: ExportTraceServiceRequest) -> int:
    """How many spans a request holds."""
    return sum(
        len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans
    )


@asynccontextmanager
async def over_grpc(target: Target) -> AsyncIterator[Send]:
    """Sends to an OTLP/gRPC receiver. Raises ConfigError, also while sending, where it does not let us in."""
    options: list[tuple[str, int | str]] = [("grpc.max_send_message_length", -1)]
    if target.tls is None:
        channel = grpc.aio.insecure_channel(target.address, options=options)
    else:
        credentials = await asyncio.to_thread(channel_credentials, target.tls, _TLS_KEY)
        options += name_options(target.tls)
        channel = grpc.aio.secure_channel(target.address, credentials, options=options)
    metadata = tuple(target.headers.items())
    async with channel:
        export = channel.unary_unary(_EXPORT, None, ExportTraceServiceResponse.FromString)

        async def send(payload: bytes) -> Accepted | TryAgain | Refused:
            try:
                answer = await export(payload, timeout=ATTEMPT_TIMEOUT_S, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                return _grpc_failure(target.address, error)
            return _accepted(answer)

        yield send


def _grpc_failure(where: str, error: grpc.aio.AioRpcError) -> TryAgain | Refused:
    """Raises ConfigError for what every request would meet."""
    delay_s = _retry_info_s(error)
    code, details = error.code(), error.details() or ""
    why = f"{where}: {code.name}: {details}"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        raise _not_let_in(why)
    if code is grpc.StatusCode.UNAVAILABLE and "handshake" in details.lower():
        raise _no_handshake(where, details)
    if code in _RETRYABLE:
        return TryAgain(why=why, delay_s=delay_s)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay_s is not None:
        return TryAgain(why=why, delay_s=delay_s)
    return Refused(why=why)


def _not_let_in(why: str) -> ConfigError:
    return ConfigError(
        f"{why}: not let in: give a token it knows with --token-file or --header (for the service of the"
        " configuration: control.token_file)"
    )


def _no_handshake(where: str, why: object) -> ConfigError:
    return ConfigError(
        f"{where}: no TLS handshake ({why}): give its CA with --tls-ca, or see control.tls in the"
        " configuration"
    )


def _retry_info_s(error: Any) -> float | None:
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # details that contradict the code, or are no Status
        return None
    for detail in status.details if status else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None


@asynccontextmanager
async def over_http(target: Target) -> AsyncIterator[Send]:
    """The same for OTLP/HTTP; without a path to `/v1/traces`."""
    connections = await asyncio.to_thread(_Connections, target)

    async def send(payload: bytes) -> Accepted | TryAgain | Refused:
        return await asyncio.to_thread(connections.post, payload)

    try:
        yield send
    finally:
        connections.close()


class _Connections:
    """Connections to one HTTP receiver, as many as are used at once. Blocks."""

    def __init__(self, target: Target) -> None:
        self._target = target
        tls = target.tls
        self._context = None if tls is None else client_context(tls, _TLS_KEY)
        self._headers = {**target.headers, "Content-Type": "application/x-protobuf"}
        self._idle: list[HTTPConnection] = []

    def post(self, payload: bytes) -> Accepted | TryAgain | Refused:
        """One attempt. Raises ConfigError for what every request would meet."""
        where = self._target.address
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._new()
        try:
            connection.request("POST", self._target.path or "/v1/traces", payload, self._headers)
            response = connection.getresponse()
            body = response.read()
        except ssl.SSLError as error:
            connection.close()
            if isinstance(error, ssl.SSLEOFError):  # it went away
                return TryAgain(why=f"{where}: {error}")
            raise _no_handshake(where, error) from error
        except (OSError, HTTPException) as error:
            connection.close()
            return TryAgain(why=f"{where}: {error or type(error).__name__}")
        self._idle.append(connection)
        return _http_answer(where, response, body)

    def _new(self) -> HTTPConnection:
        tls, where = self._target.tls, self._target.address
        if self._context is None or tls is None:
            return HTTPConnection(where, timeout=ATTEMPT_TIMEOUT_S)
        return _Https(where, self._context, tls.server_name_override)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


class _Https(HTTPSConnection):
    """HTTPS to a server whose certificate may be for another name than its host's."""

    def __init__(self, where: str, context: ssl.SSLContext, name: str | None) -> None:
        super().__init__(where, timeout=ATTEMPT_TIMEOUT_S, context=context)
        self._secured = context
        self._name = name or self.host

    def connect(self) -> None:
        HTTPConnection.connect(self)
        self.sock = self._secured.wrap_socket(self.sock, server_hostname=self._name)


def _http_answer(where: str, response: HTTPResponse, body: bytes) -> Accepted | TryAgain | Refused:
    why = f"{where}: HTTP {response.status} {response.reason}"
    if response.status == 200:
        try:
            return _accepted(ExportTraceServiceResponse.FromString(body))
        except DecodeError:
            return Refused(why=f"{where} does not answer in OTLP: is this the right path?")
    if response.status in (401, 403):
        raise _not_let_in(why)
    if response.status in _RETRYABLE_HTTP:
        seconds = response.headers.get("Retry-After", "")
        return TryAgain(why=why, delay_s=float(seconds) if seconds.isdecimal() else None)
    return Refused(why=why)


def _accepted(response: ExportTraceServiceResponse) -> Accepted:
    partial = response.partial_success
    return Accepted(rejected=partial.rejected_spans, message=partial.error_message)
