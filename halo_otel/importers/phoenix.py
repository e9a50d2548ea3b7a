"""Phoenix: spans as its REST API, its client's `get_spans_dataframe` and its span files say.

Shapes, all of Arize-ai/phoenix at 9478f95:

    a span              `{"name", "context": {"trace_id", "span_id"}, "span_kind", "parent_id", …}`: REST
                        (server/api/routers/v1/spans.py, `Span`) and trace/span_json_encoder.py
    a row               the same with columns `context.trace_id`, `attributes.llm.model_name`, …, of
                        which some hold objects and arrays (trace/dsl/query.py,
                        `_get_spans_dataframe`): as Parquet or by pandas' `to_json`
    an OTLP-like span   snake_case, hex ids, no resource (REST `…/spans/otlpv1`)

`span_kind` is OpenInference's; the span's own OTel kind is not kept. Phoenix keeps no resource.
"""

from typing import Any, Final

from halo_otel.importers import fields
from halo_otel.importers.kinds import Format
from halo_otel.model.span import STATUS_ERROR, STATUS_OK, Resource, Span

_STATUSES: Final = {"ERROR": STATUS_ERROR, "OK": STATUS_OK}
_ATTRIBUTES: Final = "attributes."
_SCOPE: Final = fields.scope("phoenix")
# Objects that OpenInference writes as JSON text and the data frame parses
# (trace/attributes.py, JSON_STRING_ATTRIBUTES).
_JSON_TEXTS: Final = frozenset({"metadata", "llm.prompt_template.variables", "tool.parameters"})


def _recognises(tree: dict[str, Any]) -> bool:
    if "context.span_id" in tree or ("span_id" in tree and "start_time_unix_nano" in tree):
        return True
    context = tree.get("context")
    return isinstance(context, dict) and "span_id" in context and "span_kind" in tree


def _span(tree: dict[str, Any]) -> Span:
    if "start_time_unix_nano" in tree:
        return fields.otlp_span(tree)
    context = fields.members(tree.get("context"))
    start_ns = fields.time_ns(tree.get("start_time"), "start_time")
    attributes = _attributes(tree)
    kind = fields.text(tree.get("span_kind")).upper()
    if kind:
        attributes.setdefault("openinference.span.kind", kind)
    conversation = fields.members(tree.get("conversation")).get("conversation_id")
    if conversation:
        attributes.setdefault("session.id", fields.text(conversation))
    return fields.span(
        trace=context.get("trace_id", tree.get("context.trace_id")),
        own=context.get("span_id", tree.get("context.span_id")),
        parent=tree.get("parent_id"),
        name=fields.text(tree.get("name")),
        start_ns=start_ns,
        end_ns=fields.end_ns(tree.get("end_time"), start_ns, "end_time"),
        attributes=fields.flat(attributes, whole=_JSON_TEXTS),
        events=fields.events(fields.items(tree.get("events")), start_ns),
        status_code=_STATUSES.get(fields.text(tree.get("status_code")).upper(), 0),
        status_message=fields.text(tree.get("status_message")),
        resource=Resource(),
        scope=_SCOPE,
    )


def _attributes(tree: dict[str, Any]) -> dict[str, Any]:
    columns = {
        key.removeprefix(_ATTRIBUTES): value
        for key, value in tree.items()
        if key.startswith(_ATTRIBUTES)
    }
    return {**columns, **fields.members(tree.get("attributes"))}


FORMAT: Final = Format(name="Phoenix", recognises=_recognises, span=_span)
