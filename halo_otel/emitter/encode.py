"""Outbox payloads to the OTLP request that carries them."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import Message

from halo_otel.findings import SignalKind
from halo_otel.otlp.jsonrequest import Signal, request_from_json

_SIGNALS: Final[dict[SignalKind, tuple[Signal, str]]] = {
    SignalKind.LOG: ("logs", "resourceLogs"),
    SignalKind.SPAN: ("traces", "resourceSpans"),
}


def request(kind: SignalKind, payloads: Sequence[str]) -> Message:
    """An `ExportLogsServiceRequest` or `ExportTraceServiceRequest` of all `payloads`, in order.

    Each payload is one OTLP/JSON ResourceLogs or ResourceSpans. Raises `BadRequest` if one is not.
    """
    signal, member = _SIGNALS[kind]
    body = f'{{"{member}":[{",".join(payloads)}]}}'
    return request_from_json(body.encode(), signal)
