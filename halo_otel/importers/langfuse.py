"""Langfuse: observations as its API, its UI's downloads, its batch exports and its blob export say.

Shapes, all of langfuse/langfuse at 6275144:

    an observation      API v2 and UI batch export of `events` (fern/…/commons.yml ObservationV2,
                        worker/…/event-stream.ts), API v1 (ObservationsView), and the blob export
                        with the same names in snake_case (domain/observation-field-groups.ts)
    a trace with them   `{"id", "observations": […]}` (API v1, TraceWithFullDetails)
    a trace beside them `{"trace": {…}, "observations": […]}` (the UI's download of one trace)

What a trace knows (session, user, name, input, output) is given to its observations, as API v2 does.
Attributes are those the Langfuse SDK sends over OTLP (packages/shared/src/server/otel/attributes.ts);
what an observation had as a span before Langfuse took it in stands in `metadata.attributes`,
`.resourceAttributes` and `.scope` (OtelIngestionProcessor.ts) and comes back too.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from halo_otel.errors import BadRequest
from halo_otel.importers import fields
from halo_otel.importers.kinds import Format
from halo_otel.model.span import STATUS_ERROR, AnyValue, Span

_INTERNAL: Final = fields.KINDS["INTERNAL"]
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
# Attribute by field, for fields whose text is taken as it stands.
_TEXTS: Final = {
    "langfuse.observation.level": "level",
    "langfuse.observation.status_message": "statusMessage",
    "langfuse.observation.input": "input",
    "langfuse.observation.output": "output",
    "langfuse.observation.model.parameters": "modelParameters",
    "langfuse.observation.completion_start_time": "completionStartTime",
    "langfuse.observation.prompt.name": "promptName",
    "langfuse.environment": "environment",
    "langfuse.release": "release",
    "langfuse.version": "version",
    "langfuse.trace.name": "traceName",
    "langfuse.trace.input": "traceInput",
    "langfuse.trace.output": "traceOutput",
    "session.id": "sessionId",
    "user.id": "userId",
}
# What of a trace its observations get, and under which name.
_OF_TRACE: Final = {
    "name": "traceName",
    "sessionId": "sessionId",
    "userId": "userId",
    "tags": "tags",
    "release": "release",
    "environment": "environment",
}
# Langfuse's first form of usage: in `usage` or in fields of the observation itself.
_OLD_USAGE: Final = {"input": "promptTokens", "output": "completionTokens", "total": "totalTokens"}


def _recognises(tree: dict[str, Any]) -> bool:
    if isinstance(tree.get("observations"), list) and (
        isinstance(tree.get("trace"), dict) or {"id", "timestamp"} <= tree.keys()
    ):
        return True
    return "id" in tree and (
        {"traceId", "startTime", "type"} <= tree.keys()
        or {"trace_id", "start_time", "type"} <= tree.keys()
        or {"timestamp", "htmlPath"} <= tree.keys()
    )


def _pieces(tree: dict[str, Any]) -> Iterable[Any]:
    if not isinstance(tree.get("observations"), list):
        return (_named(tree),)
    trace = _named(fields.members(tree.get("trace")) or tree)
    known = {ours: trace[theirs] for theirs, ours in _OF_TRACE.items() if trace.get(theirs)}
    pieces = [
        {**known, "traceId": trace.get("id"), **_without_nulls(_named(observation))}
        if isinstance(observation, dict)
        else observation
        for observation in tree["observations"]
    ]
    for piece in pieces:  # the trace's input and output are those of the first of its roots
        if isinstance(piece, dict) and not piece.get("parentObservationId"):
            piece.update(traceInput=trace.get("input"), traceOutput=trace.get("output"))
            break
    return pieces


def _named(tree: dict[str, Any]) -> dict[str, Any]:
    """`tree` with the API's camelCase names, whichever it has."""
    if "_" not in "".join(tree):
        return tree
    return {re.sub(r"_([a-z])", lambda m: m[1].upper(), key): value for key, value in tree.items()}


def _without_nulls(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if value is not None}


def _span(tree: dict[str, Any]) -> Span:
    if "startTime" not in tree:
        raise BadRequest("a Langfuse trace without its observations: export the observations too")
    metadata = fields.members(tree.get("metadata"))
    start_ns = fields.time_ns(tree["startTime"], "startTime")
    failed = tree.get("level") == "ERROR"
    scope = fields.members(metadata.get("scope"))
    return fields.span(
        trace=tree.get("traceId") or tree.get("id"),
        own=tree.get("id"),
        parent=tree.get("parentObservationId"),
        name=fields.text(tree.get("name")),
        kind=_INTERNAL,
        start_ns=start_ns,
        end_ns=fields.end_ns(tree.get("endTime"), start_ns, "endTime"),
        attributes={**fields.flat(fields.members(metadata.get("attributes"))), **_attributes(tree)},
        status_code=STATUS_ERROR if failed else 0,
        status_message=fields.text(tree.get("statusMessage")) if failed else "",
        resource=fields.resource(fields.flat(fields.members(metadata.get("resourceAttributes")))),
        scope=fields.scope(fields.text(scope.get("name")), fields.text(scope.get("version"))),
    )


def _attributes(tree: dict[str, Any]) -> dict[str, AnyValue]:
    found: dict[str, AnyValue] = {
        "langfuse.observation.type": fields.text(tree.get("type")).lower()
    }
    for attribute, field in _TEXTS.items():
        if (value := fields.text(tree.get(field))) not in ("", "{}"):
            found[attribute] = value
    model = tree.get("providedModelName") or tree.get("model")
    values = {
        "langfuse.observation.model.name": fields.text(model),
        "langfuse.observation.prompt.version": tree.get("promptVersion"),
        "langfuse.trace.tags": tree.get("tags"),
        "langfuse.observation.usage_details": _usage(tree),
        "langfuse.observation.cost_details": _costs(tree),
    }
    found |= {key: fields.scalar(value) for key, value in values.items() if value}
    rest = {
        key: value
        for key, value in fields.members(tree.get("metadata")).items()
        if key not in ("attributes", "resourceAttributes", "scope")
    }
    return {**fields.flat(rest, prefix="langfuse.observation.metadata"), **found}


def _usage(tree: dict[str, Any]) -> dict[str, Any]:
    old = fields.members(tree.get("usage"))
    if old.get("unit") not in (None, "TOKENS"):  # characters, images, seconds
        old = {}
    first = {key: old.get(key, tree.get(name)) for key, name in _OLD_USAGE.items()}
    return fields.members(tree.get("usageDetails")) or _without_nulls(first)


def _costs(tree: dict[str, Any]) -> dict[str, Any]:
    total = tree.get("totalCost", tree.get("calculatedTotalCost"))
    return fields.members(tree.get("costDetails")) or ({"total": total} if total else {})


FORMAT: Final = Format(name="Langfuse", recognises=_recognises, span=_span, pieces=_pieces)
