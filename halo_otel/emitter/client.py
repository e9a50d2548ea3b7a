"""OTLP/gRPC to the Collector: one attempt, and what its answer means.

The channel is our own and not that of the SDK's exporters, because their answer is one bit: they
hide the status code, the server's RetryInfo and `partial_success` (refused records would count as
delivered), sleep between attempts of their own, and take headers and certificates from the
environment. The protocol itself is one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel import __version__
from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter.encode import request
from halo_otel.errors import BadRequest, ConfigError
from halo_otel.findings import SignalKind

_STUBS: Final = {SignalKind.LOG: LogsServiceStub, SignalKind.SPAN: TraceServiceStub}
_REJECTED: Final = {SignalKind.LOG: "rejected_log_records", SignalKind.SPAN: "rejected_spans"}
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

    def __init__(self, config: OtlpExporter) -> None:
        self._config = config
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> "Client":
        self._channel = self._connect()
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
        assert self._channel is not None, "enter the context first"
        try:
            message = request(kind, payloads)
        except BadRequest as error:
            return Refused(why=_printable(str(error)))
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            response = await _STUBS[kind](self._channel).Export(
                message,
                timeout=self._config.timeout,
                metadata=metadata(self._config),
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                await self._reconnect()
            return _meaning(error)
        finally:
            detach(token)
        partial = response.partial_success
        rejected = int(getattr(partial, _REJECTED[kind]))
        return Delivered(rejected=rejected, why=_printable(partial.error_message))

    async def _reconnect(self) -> None:
        """A fresh channel connects at once, where the old one waits for up to two minutes."""
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = self._connect()

    def _connect(self) -> grpc.aio.Channel:
        options = channel_options(self._config)
        if self._config.tls.insecure:
            return grpc.aio.insecure_channel(self._config.endpoint, **options)
        return grpc.aio.secure_channel(self._config.endpoint, credentials(self._config), **options)


def channel_options(config: OtlpExporter) -> dict[str, Any]:
    """Arguments of every channel to the Collector."""
    gzip = config.compression == "gzip"
    return {
        "options": (
            ("grpc.primary_user_agent", f"halo-otel/{__version__}"),
            ("grpc.use_local_subchannel_pool", 1),  # a new channel shares no backoff with the old
        ),
        "compression": grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression,
    }


def metadata(config: OtlpExporter) -> tuple[tuple[str, str], ...]:
    """The configured headers as gRPC metadata, whose keys are lowercase."""
    return tuple((key.lower(), value) for key, value in config.headers.items())


def credentials(config: OtlpExporter) -> grpc.ChannelCredentials:
    """TLS by the configured CA, or the system's; raises `ConfigError` for an unreadable file."""
    return grpc.ssl_channel_credentials(_read(config.tls.ca_file) if config.tls.ca_file else None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"exporters.otlp.tls.ca_file: cannot read {str(path)!r} ({error.strerror}): name a"
            " readable PEM file"
        ) from error


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
