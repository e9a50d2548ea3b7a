"""What of a request may go in: pure functions from bytes to a verdict.

Ids are checked as OTLP defines them (trace.proto, logs.proto): a span needs a trace id of 16 and a
span id of 8 bytes, neither all zero, and a parent id that is absent or of 8 bytes; a log record's ids
may be absent. Invalid items are taken out one by one, their neighbours stay. Requests that need no
change, nearly all, are passed on as the bytes they came as, so nothing the sender wrote is lost.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.errors import BadRequest, TooLarge
from halo_otel.otlp.names import RESOURCE_SERVICE_NAME, SCOPE_NAME, SERVICE_NAME
from halo_otel.receiver.depth import cut
from halo_otel.receiver.extent import exceeds
from halo_otel.receiver.utf8 import repair

Signal = Literal["traces", "logs", "metrics"]

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
_NO_TRACE_ID: Final = bytes(TRACE_ID_BYTES)
_NO_SPAN_ID: Final = bytes(SPAN_ID_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a request: `payload` is to be journaled, b"" if nothing is left of it."""

    payload: bytes
    accepted: int = 0  # spans or log records
    rejected: int = 0  # for their ids; `rule` says why
    looped: int = 0  # our own, dropped
    repaired: bool = False  # invalid UTF-8 was replaced
    too_deep: int = 0  # values replaced by a text
    rule: str = ""


def admit(signal: Signal, payload: bytes, items_max: int | None = None) -> Verdict:
    """Judge a serialised request of `signal`.

    Raises BadRequest if the bytes are no such request, and TooLarge if it holds more than `items_max`.
    """
    if signal == "metrics":
        _parse(ExportMetricsServiceRequest, payload)
        return Verdict(payload=b"")
    if items_max is not None and (more := exceeds(signal, payload, items_max)) is not None:
        raise TooLarge(
            f"the request holds {more}; receivers.otlp.max_items_per_request is {items_max}: send"
            " smaller batches"
        )
    shape = _SHAPES[signal]
    request, payload, repaired, too_deep = _parse(shape.request_type, payload)
    accepted = rejected = looped = 0
    for resource in getattr(request, shape.resources):
        is_own = _is_own_resource(resource.resource.attributes)
        for scope in getattr(resource, shape.scopes):
            items = getattr(scope, shape.items)
            if is_own or scope.scope.name == SCOPE_NAME:
                looped += len(items)
                del items[:]
                continue
            valid = [item for item in items if shape.is_valid(item)]
            accepted += len(valid)
            if len(valid) != len(items):
                rejected += len(items) - len(valid)
                del items[:]
                items.extend(valid)
    if accepted == 0:
        payload = b""  # an empty request is a success and nothing to remember (OTLP 1.11)
    elif looped or rejected:
        payload = request.SerializeToString()
    return Verdict(
        payload=payload,
        accepted=accepted,
        rejected=rejected,
        looped=looped,
        repaired=repaired,
        too_deep=too_deep,
        rule=shape.rule,
    )


def _is_valid_span(span: Any) -> bool:
    trace_id, span_id = span.trace_id, span.span_id
    return (
        len(trace_id) == TRACE_ID_BYTES
        and len(span_id) == SPAN_ID_BYTES
        and trace_id != _NO_TRACE_ID
        and span_id != _NO_SPAN_ID
        and len(span.parent_span_id) in (0, SPAN_ID_BYTES)
    )


def _is_valid_log_record(record: Any) -> bool:
    return len(record.trace_id) in (0, TRACE_ID_BYTES) and len(record.span_id) in (0, SPAN_ID_BYTES)


def _parse(request_type: Any, payload: bytes) -> tuple[Any, bytes, bool, int]:
    """The request, the bytes that stand for it, whether its strings and how many of its values had to be
    mended."""
    try:
        return request_type.FromString(payload), payload, False, 0
    except DecodeError as error:
        first = error
    try:
        shallow, too_deep = cut(payload, request_type.DESCRIPTOR)
        if too_deep:
            request, mended, repaired, _ = _parse(request_type, shallow)
            return request, mended, repaired, too_deep
        repaired_payload = repair(payload, request_type.DESCRIPTOR)
        return request_type.FromString(repaired_payload), repaired_payload, True, 0
    except DecodeError:
        name = request_type.DESCRIPTOR.name
        raise BadRequest(f"the body is not a protobuf {name}: {first}") from first


def _is_own_resource(attributes: Iterable[Any]) -> bool:
    """The loop guard of the design: findings that come back through a Collector must not be analysed
    as if an agent had sent them."""
    return any(
        attribute.key == RESOURCE_SERVICE_NAME and attribute.value.string_value == SERVICE_NAME
        for attribute in attributes
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Where a signal's request keeps its items, and which of them are valid."""

    request_type: Any
    resources: str
    scopes: str
    items: str
    is_valid: Callable[[Any], bool]
    rule: str


_SHAPES: Final = {
    "traces": _Shape(
        request_type=ExportTraceServiceRequest,
        resources="resource_spans",
        scopes="scope_spans",
        items="spans",
        is_valid=_is_valid_span,
        rule="trace_id must be 16 bytes and span_id 8 bytes, neither all zero; "
        "parent_span_id must be empty or 8 bytes",
    ),
    "logs": _Shape(
        request_type=ExportLogsServiceRequest,
        resources="resource_logs",
        scopes="scope_logs",
        items="log_records",
        is_valid=_is_valid_log_record,
        rule="trace_id must be empty or 16 bytes, span_id empty or 8 bytes",
    ),
}
