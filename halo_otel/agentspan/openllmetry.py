"""OpenLLMetry (Traceloop): `traceloop.*`, `llm.request.type`, messages flattened to `gen_ai.prompt.0`.

Until 0.40 or so: flattened messages, `llm.usage.*`, capitalised `gen_ai.system`. Since then OTel's
own keys beside `traceloop.*`. Its scopes begin like OTel's own, so only keys tell it.
"""

from typing import Any, Final

from halo_otel.agentspan.definitions import definition
from halo_otel.agentspan.flattened import Flattened
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import arguments, decoded, label, payload, text, unquoted, unwrapped
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


def tools(reading: Reading) -> str | None:
    """The tools offered, of the form `llm.request.functions.0.{name,description,parameters}`."""
    attributes = reading.span.attributes
    found: list[dict[str, Any]] = []
    while True:
        place = f"llm.request.functions.{len(found)}"
        tool = definition(
            attributes.get(f"{place}.name"),
            attributes.get(f"{place}.description"),
            attributes.get(f"{place}.parameters"),
        )
        if tool is None:
            return payload(found) if found else None
        found.append(tool)


def given(value: Any) -> str | None:
    """What was asked; in LangChain's `{"inputs": {"messages"}, …}` what its user said last."""
    if isinstance(value, str) and value.startswith('{"inputs"'):
        found = decoded(value)
        inputs = found.get("inputs") if isinstance(found, dict) else None
        messages = inputs.get("messages") if isinstance(inputs, dict) else None
        for message in reversed(messages) if isinstance(messages, list) else ():
            if said := _said_by_user(message):
                return said
    return payload(value)


def _said_by_user(message: Any) -> str | None:
    """The text of a message that is a pair or LangChain's serialised object."""
    if isinstance(message, list) and len(message) == 2:
        return text(message[1]) if message[0] in ("user", "human") else None
    fields = message.get("kwargs") if isinstance(message, dict) else None
    said = fields.get("content") if isinstance(fields, dict) else None
    return text(said) if said and fields and fields.get("type") == "human" else None


def tool_arguments(value: Any) -> str | None:
    """A call's arguments in `{"args", "kwargs"}` (decorators) or `{"inputs", …}` (LangChain)."""
    found = decoded(value)
    if isinstance(found, dict):
        if "inputs" in found:
            return arguments(found["inputs"])
        if set(found) == {"args", "kwargs"} and not found["args"]:
            return arguments(found["kwargs"])
    return arguments(value)


def langchain_arguments(value: Any) -> str | None:
    """A call's arguments in `{"input_str", "inputs", …}`, which stands for them under OTel's key."""
    if not isinstance(value, str) or '"input_str"' not in value:
        return None
    found = decoded(value)
    return arguments(found.get("inputs")) if isinstance(found, dict) else None


def langchain_result(value: Any) -> str | None:
    """A call's result in `{"output": {"kwargs": {"content", …}}, "kwargs"}`, under OTel's key."""
    return tool_result(value) if isinstance(value, str) and '"ToolMessage"' in value else None


def tool_call_id(value: Any) -> str | None:
    """The id in LangChain's `{"kwargs": {"tool_call_id"}, …}`."""
    if not isinstance(value, str) or '"tool_call_id"' not in value:
        return None
    found = decoded(value)
    fields = found.get("kwargs") if isinstance(found, dict) else None
    return label(fields.get("tool_call_id")) if isinstance(fields, dict) else None


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
