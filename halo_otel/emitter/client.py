"""OTLP/gRPC to the Collector: one attempt, and what its answer means.

The channel is our own and not that of the SDK's exporters, because their answer is one bit: they
hide the status code, the server's RetryInfo and `partial_success` (refused records would count as
delivered), sleep between attempts of their own, and take headers and certificates from the
environment. The protocol itself is one call.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel import __version__
from halo_otel.config import rotated
from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter.encode import request
from halo_otel.errors import BadRequest, ConfigError
from halo_otel.findings import SignalKind
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import Counters
from halo_otel.tls import channel_credentials, name_options

logger = logging.getLogger(__name__)

_STUBS: Final = {SignalKind.LOG: LogsServiceStub, SignalKind.SPAN: TraceServiceStub}
_REJECTED: Final = {SignalKind.LOG: "rejected_log_records", SignalKind.SPAN: "rejected_spans"}
TLS_KEY: Final = "exporters.otlp.tls"
_DETAILS_KEY: Final = "grpc-status-details-bin"
_WHY_CHARS_MAX: Final = 200

# The OTLP specification's table of gRPC codes (OTLP 1.11 "Failures"): these may succeed later.
_RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
        # Beyond the table: a wrong or expired token is the operator's to mend, and the outbox is
        # bounded. Giving the findings up meanwhile would lose what was never at fault.
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The Collector took the batch, except `rejected` records of it for the reason `why`."""

    rejected: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delayed:
    """Not now: try again, if the server said so not before `retry_after_s`.

    `too_much` means that less at once may help.
    """

    why: str
    retry_after_s: float = 0.0
    too_much: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Never: these records cannot be taken. `unsupported`: nor can any other of their kind."""

    why: str
    unsupported: bool = False


Answer: TypeAlias = Delivered | Delayed | Refused


class Client:
    """A channel to the Collector. Async context manager; safe to leave twice and unentered."""

    def __init__(
        self, config: OtlpExporter, counters: Counters, redact: Redactor | None = None
    ) -> None:
        self._config = config
        self._headers = Headers(config, counters)
        self._redact = redact
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> "Client":
        self._channel = await self._connect()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    async def export(self, kind: SignalKind, payloads: Sequence[str]) -> Answer:
        """Send one batch of OTLP/JSON `payloads`; returns within `exporters.otlp.timeout`."""
        try:
            message = await asyncio.to_thread(request, kind, payloads, self._redact)
        except BadRequest as error:
            return Refused(why=_printable(str(error)))
        return await self._send(_STUBS[kind], message, _REJECTED[kind])

    async def send_metrics(self, message: ExportMetricsServiceRequest) -> Answer:
        """Send one sample, as it is; returns within `exporters.otlp.timeout`."""
        return await self._send(MetricsServiceStub, message, "rejected_data_points")

    async def _send(self, stub: Any, message: Message, rejected: str) -> Answer:
        assert self._channel is not None, "enter the context first"
        metadata = await asyncio.to_thread(self._headers.metadata)
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            response = await stub(self._channel).Export(
                message, timeout=self._config.timeout, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                try:
                    await self._reconnect()
                except ConfigError as trouble:  # a rotation that is not complete yet
                    return Delayed(why=_printable(str(trouble)))
            return _meaning(error)
        finally:
            detach(token)
        partial = response.partial_success
        return Delivered(
            rejected=int(getattr(partial, rejected)), why=_printable(partial.error_message)
        )

    async def _reconnect(self) -> None:
        """A fresh channel connects at once, where the old one waits for up to two minutes.

        It is also how rotated certificates are taken up. Raises ConfigError, and keeps the old one.
        """
        old, self._channel = self._channel, await self._connect()
        if old is not None:
            await old.close(None)

    async def _connect(self) -> grpc.aio.Channel:
        config, options = self._config, channel_options(self._config)
        if config.tls.insecure:
            return grpc.aio.insecure_channel(config.endpoint, **options)
        secrets = await asyncio.to_thread(channel_credentials, config.tls, TLS_KEY)
        return grpc.aio.secure_channel(config.endpoint, secrets, **options)


def channel_options(config: OtlpExporter) -> dict[str, Any]:
    """Arguments of every channel to the Collector."""
    gzip = config.compression == "gzip"
    return {
        "options": (
            ("grpc.primary_user_agent", f"halo-otel/{__version__}"),
            ("grpc.use_local_subchannel_pool", 1),  # a new channel shares no backoff with the old
            *name_options(config.tls),
        ),
        "compression": grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression,
    }


class Headers:
    """`exporters.otlp.headers`, also when the file that holds them is replaced.

    A replacement that is no good is counted and logged, and what was there before stays.
    """

    def __init__(self, config: OtlpExporter, counters: Counters) -> None:
        self._headers = rotated.headers(
            "exporters.otlp.headers_file", config.headers_file, config.headers
        )
        self._counters = counters

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """gRPC metadata, whose keys are lowercase, of the next request. Blocks."""
        try:
            self._headers.read()
        except ConfigError as error:
            self._counters.add("halo.emitter.failed_reloads")
            logger.warning("%s; what was there before stays in use", error)
        return tuple((key.lower(), value) for key, value in self._headers.value.items())


def _meaning(error: grpc.aio.AioRpcError) -> Answer:
    code = error.code()
    why = _printable(f"{code.name}: {error.details() or ''}")
    if code in _RETRYABLE:
        retry_after_s = _retry_after_s(error)
        exhausted = code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after_s is None
        return Delayed(why=why, retry_after_s=retry_after_s or 0.0, too_much=exhausted)
    return Refused(why=why, unsupported=code is grpc.StatusCode.UNIMPLEMENTED)


def _retry_after_s(error: grpc.aio.AioRpcError) -> float | None:
    """The `google.rpc.RetryInfo` of the answer, if there is one."""
    trailers: dict[str, Any] = dict(error.trailing_metadata() or ())  # type: ignore[arg-type]  # pairs, says grpc
    if _DETAILS_KEY in trailers:
        for detail in Status.FromString(trailers[_DETAILS_KEY]).details:
            info = RetryInfo()
            if detail.Unpack(info):
                return float(info.retry_delay.ToNanoseconds() / 1e9)
    return None


def _printable(text: str) -> str:
    """The server's words, fit for one log line."""
    return "".join(c if c.isprintable() else " " for c in text[:_WHY_CHARS_MAX])
