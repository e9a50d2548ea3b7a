"""The Vercel AI SDK: `ai.*` (version 4 to 6), and what version 7 adds to OTel's own keys.

Its outer spans (`ai.generateText`) are agents' runs, the inner ones (`….doGenerate`) model calls;
both bear usage.
"""

from typing import Any, Final

from halo_otel.agentspan import messages
from halo_otel.agentspan.source import Dialect
from halo_otel.agentspan.values import decoded, label, text
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="vercel_ai",
    markers=frozenset(
        {"ai.operationId", "ai.model.id", "ai.toolCall.name", "ai.telemetry.functionId"}
    ),
    scopes=("gen_ai",),  # version 7's
)

_KINDS: Final = {
    "ai.generateText": SpanKind.AGENT,
    "ai.streamText": SpanKind.AGENT,
    "ai.generateObject": SpanKind.AGENT,
    "ai.streamObject": SpanKind.AGENT,
    "ai.toolCall": SpanKind.TOOL,
    "ai.embed": SpanKind.EMBEDDING,
    "ai.embedMany": SpanKind.EMBEDDING,
    "ai.rerank": SpanKind.RETRIEVER,
}


def kind(value: Any) -> SpanKind | None:
    """The kind of an operation; `ai.generateText.doGenerate` is the model call of a run."""
    operation = label(value)
    if operation is None:
        return None
    outer, _, inner = operation.partition(".do")
    found = _KINDS.get(outer)
    return SpanKind.LLM if inner and found is SpanKind.AGENT else found


def step_kind(value: Any) -> SpanKind | None:
    """The one operation of version 7 that OTel does not know."""
    return SpanKind.CHAIN if value == "agent_step" else None


def prompt(value: Any) -> str | None:
    """What was asked, in `{system, prompt | messages}`."""
    found = decoded(value)
    asked = found.get("prompt") if isinstance(found, dict) else None
    return text(asked) or messages.given(value)


def instructions(value: Any) -> str | None:
    """What the model was told to be, in `{system, prompt | messages}`."""
    found = decoded(value)
    told = found.get("system") if isinstance(found, dict) else None
    return messages.content_text(told) if told else messages.instructions(value)
