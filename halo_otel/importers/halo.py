"""HALO's JSONL: one span per line, OpenInference attributes beside `inference.*`; or one trace.

Shape of a span: `SpanRecord` in context-labs/HALO, engine/traces/models/canonical_span.py (HEAD b7f8509) and
its fixtures `realistic_traces.jsonl`: ids of 32 and of 24 hex digits, ISO times with nanoseconds,
`status.code` and `kind` as OTLP's names, null for everything unknown. Of a trace: its
demo/openai-agents-sdk-demo/sample-traces/traces-by-trace.jsonl, `{"traceId", "spans"}` with OTLP's
spans, each with its resource and scope.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from halo_otel.importers import fields
from halo_otel.importers.kinds import Format
from halo_otel.model.span import STATUS_ERROR, STATUS_OK, Resource, Span

_STATUSES: Final = {"STATUS_CODE_ERROR": STATUS_ERROR, "STATUS_CODE_OK": STATUS_OK}


def _recognises(tree: dict[str, Any]) -> bool:
    if "traceId" in tree and "spans" in tree:
        return True
    return (
        "trace_id" in tree
        and "span_id" in tree
        and "start_time" in tree
        and isinstance(tree.get("status"), dict)
        and isinstance(tree.get("attributes"), dict)
    )


def _pieces(tree: dict[str, Any]) -> Iterable[Any]:
    if "traceId" not in tree:
        return (tree,)
    # A span that does not say whose it is belongs to the trace it stands in.
    return (
        {"traceId": tree["traceId"], **piece} if isinstance(piece, dict) else piece
        for piece in fields.items(tree["spans"])
    )


def _span(tree: dict[str, Any]) -> Span:
    if "traceId" in tree:
        return fields.otlp_span(tree)
    start_ns = fields.time_ns(tree["start_time"], "start_time")
    scope = fields.members(tree.get("scope"))
    status = tree["status"]
    return fields.span(
        trace=tree["trace_id"],
        own=tree["span_id"],
        parent=tree.get("parent_span_id"),
        name=fields.text(tree.get("name")),
        kind=fields.KINDS.get(fields.text(tree.get("kind")).removeprefix("SPAN_KIND_"), 0),
        start_ns=start_ns,
        end_ns=fields.end_ns(tree.get("end_time"), start_ns, "end_time"),
        attributes=fields.flat(tree["attributes"]),
        events=fields.events(fields.items(tree["events"]), start_ns) if "events" in tree else (),
        status_code=_STATUSES.get(fields.text(status.get("code")), 0),
        status_message=fields.text(status.get("message")),
        trace_state=fields.text(tree.get("trace_state")),
        resource=_resource(fields.json_text(tree.get("resource"))),
        scope=fields.scope(fields.text(scope.get("name")), fields.text(scope.get("version"))),
    )


@lru_cache(1024)
def _resource(written: str) -> Resource:
    """The same object for what is written the same: spans of one resource stand together."""
    return Resource(
        attributes=fields.flat(fields.members(fields.members(written).get("attributes")))
    )


FORMAT: Final = Format(name="HALO", recognises=_recognises, span=_span, pieces=_pieces)
