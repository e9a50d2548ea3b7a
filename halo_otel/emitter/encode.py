"""Outbox payloads to the OTLP request that carries them."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import Message

from halo_otel.findings import SignalKind
from halo_otel.otlp import names
from halo_otel.otlp.jsonrequest import Signal, request_from_json
from halo_otel.redact.otlpjson import redacted
from halo_otel.redact.redactor import Redactor

_SIGNALS: Final[dict[SignalKind, tuple[Signal, str]]] = {
    SignalKind.LOG: ("logs", "resourceLogs"),
    SignalKind.SPAN: ("traces", "resourceSpans"),
}


# Ids of ours, which no rule may take for anything else.
_IDS: Final = frozenset({names.FINDING_ID, names.FINDING_FINGERPRINT, names.FINDING_EVIDENCE})


def request(kind: SignalKind, payloads: Sequence[str], redact: Redactor | None = None) -> Message:
    """An `ExportLogsServiceRequest` or `ExportTraceServiceRequest` of all `payloads`, in order.

    Each payload is one OTLP/JSON ResourceLogs or ResourceSpans; its words pass through `redact`. Raises
    `BadRequest` if one is not.
    """
    signal, member = _SIGNALS[kind]
    if redact is not None:
        payloads = [redacted(payload, redact, _IDS) for payload in payloads]
    body = f'{{"{member}":[{",".join(payloads)}]}}'
    return request_from_json(body.encode(), signal)
