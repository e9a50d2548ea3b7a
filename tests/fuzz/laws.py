"""What holds of everything that was let in: it can be stored, and it says the same however it is written."""

from base64 import b64decode
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.agentspan.prices import load_prices
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import LogRecord, Span
from halo_otel.otlp.anyvalue import from_json, to_json
from halo_otel.otlp.decode import decode_logs, decode_traces, log_records_of, spans_of
from halo_otel.otlp.encode import request
from halo_otel.otlp.jsonlines import spans_from_tree
from halo_otel.otlp.jsonrequest import request_from_json
from halo_otel.receiver.admission import Signal, admit
from halo_otel.redact.mask import Rules
from halo_otel.redact.records import RecordRedactor
from halo_otel.redact.redactor import Lists, Redactor
from halo_otel.window.tables import arrow_table

REQUESTS: Final[dict[Signal, Any]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
SIGNALS: Final = tuple(REQUESTS)
RULES: Final = Rules(
    ("credentials", "email", "phone", "card", "iban", "national_id", "ip", "custom"),
    {"ticket": r"[A-Z]{2,5}-\d+", "word": r"(?i)secret\w*"},
)

_PRICES: Final = load_prices()
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def redactor() -> Redactor:
    """One that takes out all it can."""
    return Redactor(
        b"sixteen bytes ok",
        RULES,
        lambda kind, number: None,
        Lists(denied=("user.id", "enduser.*")),
    )


def check_admitted(signal: Signal, payload: bytes) -> None:
    """Whatever admission lets in can be stored. Raises `BadRequest` if it lets nothing in."""
    verdict = admit(signal, payload)
    assert bool(verdict.payload) == bool(verdict.accepted)
    if not verdict.payload:
        return
    again = admit(signal, verdict.payload)
    assert again.payload == verdict.payload
    assert again.accepted == verdict.accepted
    assert again.rejected == again.looped == again.repaired == again.too_deep == 0
    if signal == "traces":
        spans = list(decode_traces(verdict.payload))
        assert len(spans) == verdict.accepted
        check_spans(spans)
    else:
        records = list(decode_logs(verdict.payload))
        assert len(records) == verdict.accepted
        check_records(records)
    check_as_json(signal, verdict.payload)


def check_spans(spans: list[Span]) -> None:
    """Spans become rows, redacted or not, and are the same after having been sent or written."""
    redacted = list(RecordRedactor(redactor()).spans(spans))
    one_by_one = RecordRedactor(redactor())
    assert same(redacted, map(one_by_one.span, spans))
    for stored in (spans, redacted):
        builder = RowBuilder("all", _PRICES)
        for position, span in enumerate(stored):
            builder.add_span(span, 1, position)
        check_rows(builder)
    message = request(spans)
    sent = list(spans_of(message))  # those of one resource and scope stand together
    assert same(sorted(sent, key=repr), sorted(spans, key=repr))
    written = MessageToDict(message, use_integers_for_enums=True)
    assert same(spans_from_tree(_with_hex_ids(written)), sent)
    for span in spans:
        attributes = dict(span.attributes)
        assert same([from_json(to_json(attributes))], [attributes])


def check_records(records: list[LogRecord]) -> None:
    """Log records become rows, redacted or not."""
    redacted = list(RecordRedactor(redactor()).log_records(records, lambda record: True))
    one_by_one = RecordRedactor(redactor())
    assert same(redacted, map(one_by_one.log_record, records))
    for stored in (records, redacted):
        builder = RowBuilder("all", _PRICES)
        kept = [builder.add_log_record(record, 1, place) for place, record in enumerate(stored)]
        assert all(kept)
        check_rows(builder)


def check_rows(builder: RowBuilder) -> None:
    size = builder.size
    batch = builder.batch()
    tables = {
        "spans": batch.spans,
        "log_records": batch.log_records,
        "resources": batch.resources,
        "scopes": batch.scopes,
        "texts": batch.texts,
    }
    arrow = {name: arrow_table(name, columns) for name, columns in tables.items() if columns}
    for table in arrow.values():
        table.validate(full=True)
    assert size == sum(arrow[name].num_rows for name in ("spans", "log_records") if name in arrow)


def check_as_json(signal: Signal, payload: bytes) -> None:
    """A request says the same as OTLP/JSON."""
    message = REQUESTS[signal].FromString(payload)
    read = request_from_json(as_json(message), signal)
    records_of: Any = spans_of if signal == "traces" else log_records_of
    assert same(records_of(read), records_of(message))


def as_json(message: Any) -> bytes:
    """`message`, one of `REQUESTS`, as OTLP/JSON."""
    return orjson.dumps(_with_hex_ids(MessageToDict(message, use_integers_for_enums=True)))


def same(some: Any, others: Any) -> bool:
    """As equal, but NaN is NaN and no number is a boolean."""
    return list(map(repr, some)) == list(map(repr, others))


def _with_hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_hex_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: b64decode(value).hex() if key in _IDS else _with_hex_ids(value)
        for key, value in node.items()
    }


def check_ids(spans: list[Span]) -> None:
    """Ids are of OTLP's length and times fit a signed column."""
    for span in spans:
        assert len(bytes.fromhex(span.trace_id)) == 16
        assert len(bytes.fromhex(span.span_id)) == 8
        assert len(bytes.fromhex(span.parent_span_id)) in (0, 8)
        assert 0 <= span.start_ns < 2**63
        assert 0 <= span.end_ns < 2**63
