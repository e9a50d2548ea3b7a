"""OpenInference (Arize): `openinference.span.kind`, `llm.*`, `input.value`, flattened messages.

OpenAI Agents' hand-offs arrive as TOOL spans called `handoff to X` and a whole trace as an AGENT; they
are structure, not calls.
"""

from typing import Any, Final

from halo_otel.agentspan.definitions import definitions
from halo_otel.agentspan.flattened import Flattened
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import decoded, json_object, label, payload
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="openinference",
    markers=frozenset(
        {
            "openinference.span.kind",
            "input.value",
            "output.value",
            "llm.model_name",
            "llm.token_count.prompt",
            "llm.token_count.completion",
            "llm.token_count.total",
            "llm.input_messages.0.message.role",
            "llm.output_messages.0.message.role",
        }
    ),
    scopes=("openinference.instrumentation",),
)

_KINDS: Final = {
    "AGENT": SpanKind.AGENT,
    "LLM": SpanKind.LLM,
    "TOOL": SpanKind.TOOL,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RETRIEVER,
    "EMBEDDING": SpanKind.EMBEDDING,
    "CHAIN": SpanKind.CHAIN,
    "GUARDRAIL": SpanKind.GUARDRAIL,
    "EVALUATOR": SpanKind.EVALUATOR,
}
INPUT: Final = Flattened("llm.input_messages.", ".message", ".tool_call.function")
OUTPUT: Final = Flattened("llm.output_messages.", ".message", ".tool_call.function")
_HANDOFF: Final = "handoff to "
_OPENAI_AGENTS: Final = "openinference.instrumentation.openai_agents"
_SESSION_KEYS: Final = ("session_id", "conversation_id", "thread_id")


def kind(reading: Reading) -> SpanKind | None:
    """The stated kind; `PROMPT`, `DECISION` and `UNKNOWN` state none of ours."""
    stated = label(reading.span.attributes.get("openinference.span.kind"))
    found = None if stated is None else _KINDS.get(stated.upper())
    if found is SpanKind.TOOL and reading.span.name.startswith(_HANDOFF):
        return SpanKind.CHAIN
    if found is SpanKind.AGENT and reading.span.scope.name == _OPENAI_AGENTS:
        # The span of the whole trace; an agent's own has its place in the graph.
        return found if "graph.node.id" in reading.span.attributes else SpanKind.CHAIN
    return found


def handoff_target(reading: Reading) -> str | None:
    """The agent in a name of the form `handoff to {agent}`."""
    name = reading.span.name
    return label(name.removeprefix(_HANDOFF)) if name.startswith(_HANDOFF) else None


def agent_name(reading: Reading) -> str | None:
    """An agent span's own name, without the method that smolagents adds (`CodeAgent.run`)."""
    return label(reading.span.name.removesuffix(".run"))


def tool_parameters(value: Any) -> str | None:
    """A call's arguments in `tool.parameters`, which sometimes holds the tool's schema instead."""
    known = json_object(value)
    if known is None:
        return None
    members = decoded(known)
    is_schema = isinstance(members, dict) and "properties" in members
    return None if is_schema else known


def tool_result(value: Any) -> str | None:
    """A call's result; of LangChain's serialised message its content."""
    if isinstance(value, str) and '"tool_call_id"' in value:
        found = decoded(value)
        message = found.get("data") if isinstance(found, dict) else None
        if isinstance(message, dict) and "content" in message:
            return payload(message["content"])
    return payload(value)


def tools(reading: Reading) -> str | None:
    """The tools offered, one to an attribute `llm.tools.0.tool.json_schema`, or named there only."""
    attributes = reading.span.attributes
    found: list[Any] = []
    while True:
        place = f"llm.tools.{len(found)}.tool"
        schema = attributes.get(f"{place}.json_schema")
        known = schema if schema is not None else attributes.get(f"{place}.name")
        if known is None:
            return definitions(found) if found else None
        found.append(known)


def session(value: Any) -> str | None:
    """The session that LangChain's `metadata` names."""
    if isinstance(value, str) and not any(key in value for key in _SESSION_KEYS):
        return None
    metadata = decoded(value)
    if not isinstance(metadata, dict):
        return None
    return next((known for key in _SESSION_KEYS if (known := label(metadata.get(key)))), None)
