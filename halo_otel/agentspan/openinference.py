"""OpenInference (Arize): `openinference.span.kind`, `llm.*`, `input.value`, flattened messages.

OpenAI Agents' hand-offs arrive as TOOL spans called `handoff to X`; they are structure, not calls.
"""

from typing import Any, Final

from halo_otel.agentspan.messages import content_text
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import decoded, json_object, label, text
from halo_otel.model.facts import SpanKind
from halo_otel.model.span import Attributes

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
_HANDOFF: Final = "handoff to "
_SESSION_KEYS: Final = ("session_id", "conversation_id", "thread_id")


def kind(reading: Reading) -> SpanKind | None:
    """The stated kind; `PROMPT`, `DECISION` and `UNKNOWN` state none of ours."""
    stated = label(reading.span.attributes.get("openinference.span.kind"))
    found = None if stated is None else _KINDS.get(stated.upper())
    if found is SpanKind.TOOL and reading.span.name.startswith(_HANDOFF):
        return SpanKind.CHAIN
    return found


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


def session(value: Any) -> str | None:
    """The session that LangChain's `metadata` names."""
    if isinstance(value, str) and not any(key in value for key in _SESSION_KEYS):
        return None
    metadata = decoded(value)
    if not isinstance(metadata, dict):
        return None
    return next((known for key in _SESSION_KEYS if (known := label(metadata.get(key)))), None)


def given(reading: Reading) -> str | None:
    """The text of the last user message that has any, else of the last message."""
    attributes, prefix = reading.span.attributes, "llm.input_messages"
    last = _messages(attributes, prefix) - 1
    for index in range(last, -1, -1):
        if attributes.get(f"{prefix}.{index}.message.role") == "user":
            said = _said(attributes, f"{prefix}.{index}.message")
            if said:
                return said
    return _said(attributes, f"{prefix}.{last}.message") if last >= 0 else None


def answered(reading: Reading) -> str | None:
    """The text of the last message that was answered, or the tool calls it consists of."""
    attributes, prefix = reading.span.attributes, "llm.output_messages"
    last = _messages(attributes, prefix) - 1
    if last < 0:
        return None
    message = f"{prefix}.{last}.message"
    return _said(attributes, message) or _called(attributes, message)


def _messages(attributes: Attributes, prefix: str) -> int:
    """How many messages stand under `prefix`, by bisection: there may be hundreds."""

    def stands(index: int) -> bool:
        return f"{prefix}.{index}.message.role" in attributes

    if not stands(0):
        return 0
    low, high = 0, 1
    while stands(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if stands(middle) else (low, middle)
    return high


def _said(attributes: Attributes, message: str) -> str | None:
    content = attributes.get(f"{message}.content")
    if content is not None:
        return content_text(content)
    pieces: list[str] = []
    while f"{(part := f'{message}.contents.{len(pieces)}.message_content')}.type" in attributes:
        pieces.append(text(attributes.get(f"{part}.text")) or "")
    return text("\n".join(piece for piece in pieces if piece))


def _called(attributes: Attributes, message: str) -> str | None:
    lines: list[str] = []
    while True:
        call = f"{message}.tool_calls.{len(lines)}.tool_call.function"
        name = label(attributes.get(f"{call}.name"))
        if name is None:
            return "\n".join(lines) or None
        lines.append(f"{name}({text(attributes.get(f'{call}.arguments')) or ''})")
