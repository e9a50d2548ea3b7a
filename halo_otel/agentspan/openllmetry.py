"""OpenLLMetry (Traceloop): `traceloop.*`, `llm.request.type`, messages flattened to `gen_ai.prompt.0`.

Until 0.40 or so: flattened messages, `llm.usage.*`, capitalised `gen_ai.system`. Since then OTel's
own keys beside `traceloop.*`. Its scopes begin like OTel's own, so only keys tell it.
"""

from typing import Any, Final

from halo_otel.agentspan.flattened import Flattened
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import arguments, decoded, label, payload, unquoted, unwrapped
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="openllmetry",
    markers=frozenset(
        {
            "traceloop.span.kind",
            "traceloop.entity.name",
            "traceloop.entity.path",
            "traceloop.workflow.name",
            "llm.request.type",
            "llm.usage.total_tokens",
            "gen_ai.prompt.0.role",
            "gen_ai.prompt.0.content",
            "gen_ai.completion.0.role",
            "gen_ai.completion.0.content",
        }
    ),
    scopes=("traceloop.tracer",),
)
INPUT: Final = Flattened("gen_ai.prompt.", "", "")
OUTPUT: Final = Flattened("gen_ai.completion.", "", "")

_KINDS: Final = {
    "agent": SpanKind.AGENT,
    "tool": SpanKind.TOOL,
    "workflow": SpanKind.CHAIN,
    "task": SpanKind.CHAIN,
}
_REQUESTS: Final = {
    "chat": SpanKind.LLM,
    "completion": SpanKind.LLM,
    "embedding": SpanKind.EMBEDDING,
    "rerank": SpanKind.RETRIEVER,
}
_OPERATIONS: Final = {"execute_task": SpanKind.CHAIN, "vector_db_retrieve": SpanKind.RETRIEVER}


def kind(value: Any) -> SpanKind | None:
    """The kind of a decorated function; `unknown` states none."""
    stated = label(value)
    return None if stated is None else _KINDS.get(stated.lower())


def normalised_kind(reading: Reading) -> SpanKind | None:
    """A task, which the Collector's gen_ai normaliser turns into `invoke_agent`."""
    stated = label(reading.span.attributes.get("traceloop.span.kind"))
    return SpanKind.CHAIN if stated is not None and stated.lower() == "task" else None


def request_kind(value: Any) -> SpanKind | None:
    """The kind of a model API's request, as the older versions state it."""
    stated = label(value)
    return None if stated is None else _REQUESTS.get(stated.lower())


def operation_kind(value: Any) -> SpanKind | None:
    """The operations that OTel does not know."""
    return _OPERATIONS.get(label(value) or "")


def tool_arguments(value: Any) -> str | None:
    """A call's arguments in `{"args", "kwargs"}` (decorators) or `{"inputs", …}` (LangChain)."""
    found = decoded(value)
    if isinstance(found, dict):
        if "inputs" in found:
            return arguments(found["inputs"])
        if set(found) == {"args", "kwargs"} and not found["args"]:
            return arguments(found["kwargs"])
    return arguments(value)


def tool_result(value: Any) -> str | None:
    """A call's result; LangChain's stands in `output`, and there may be a serialised message."""
    found = decoded(value)
    if isinstance(found, dict) and "output" in found and set(found) <= {"output", "kwargs"}:
        return _content(found["output"])
    return payload(unquoted(unwrapped(value, "result")))


def _content(output: Any) -> str | None:
    fields = output.get("kwargs") if isinstance(output, dict) else None
    if isinstance(fields, dict) and "content" in fields:
        return payload(fields["content"])
    return payload(output)
