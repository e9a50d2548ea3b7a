"""OpenTelemetry's own gen_ai conventions, from 1.26 to the current ones.

Current: attributes on the span, messages as JSON. Until 1.27: span events `gen_ai.content.*`. Per
message span events (`gen_ai.user.message`, `gen_ai.choice`) as Strands writes them, on tool spans
too: there `gen_ai.tool.message` holds the arguments and `gen_ai.choice` the result.
"""

import re
from typing import Any, Final

from halo_otel.agentspan import folding, messages
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import count, label
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="gen_ai",
    markers=frozenset(
        {
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.system",
            "gen_ai.request.model",
            "gen_ai.response.model",
            "gen_ai.agent.name",
            "gen_ai.agent.id",
            "gen_ai.tool.name",
            "gen_ai.tool.call.id",
            "gen_ai.conversation.id",
            "gen_ai.workflow.name",
            "gen_ai.prompt",
            "gen_ai.completion",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.prompt_tokens",
            "gen_ai.usage.completion_tokens",
            "gen_ai.retrieval.query.text",
            "gen_ai.system_instructions",
            "gen_ai.tool.definitions",
            "gen_ai.evaluation.name",
        }
    ),
    event_markers=frozenset(
        {
            "gen_ai.system.message",
            "gen_ai.user.message",
            "gen_ai.assistant.message",
            "gen_ai.evaluation.result",
            "gen_ai.choice",
            "gen_ai.tool.message",
            "gen_ai.content.prompt",
            "gen_ai.content.completion",
            "gen_ai.client.inference.operation.details",
        }
    ),
    scopes=("opentelemetry.util.genai",),
)

_KINDS: Final = {
    "invoke_agent": SpanKind.AGENT,
    "create_agent": SpanKind.AGENT,
    "chat": SpanKind.LLM,
    "generate_content": SpanKind.LLM,
    "text_completion": SpanKind.LLM,
    "execute_tool": SpanKind.TOOL,
    "retrieval": SpanKind.RETRIEVER,
    "embeddings": SpanKind.EMBEDDING,
    "invoke_workflow": SpanKind.CHAIN,
    "plan": SpanKind.CHAIN,
}
_MEMORY: Final = re.compile(r"(?:create|search|update|upsert|delete)_memor(?:y|y_store|ies)")


def kind(value: Any) -> SpanKind | None:
    """The kind an operation name stands for; home-made names stand for none."""
    operation = label(value)
    if operation is None:
        return None
    return _KINDS.get(operation) or (SpanKind.MEMORY if _MEMORY.fullmatch(operation) else None)


def tool_kind(value: Any) -> SpanKind | None:
    """A tool's name or call id makes a span a tool span, where no operation says otherwise."""
    return SpanKind.TOOL if label(value) else None


def model_kind(reading: Reading) -> SpanKind | None:
    """A model and tokens used make a span a model call. A provider alone never does.

    Tool and agent spans often bear the provider, the model and even zero tokens of their agent.
    """
    attributes = reading.span.attributes
    if label(attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model")):
        for key in ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"):
            if count(attributes.get(key)):
                return SpanKind.LLM
    return None


def name_kind(reading: Reading) -> SpanKind | None:
    """The kind that a name of the form `{operation} {target}` tells."""
    return kind(reading.span.name.partition(" ")[0])


def name_target(reading: Reading) -> str | None:
    """The target in a name of the form `{operation} {target}`."""
    operation, _, target = reading.span.name.partition(" ")
    return label(target) if kind(operation) is reading.kind else None


def workflow(reading: Reading) -> str | None:
    """The workflow in a name of the form `invoke_workflow {workflow}`."""
    operation, _, target = reading.span.name.partition(" ")
    return label(target) if operation == "invoke_workflow" else None


def agent_name(reading: Reading) -> str | None:
    """The stated agent, unless it is the name of a tool or a task.

    The Collector's gen_ai normaliser copies the name of every OpenLLMetry entity there.
    """
    known = label(reading.span.attributes.get("gen_ai.agent.name"))
    if known is None or known == reading.facts.get("tool_name"):
        return None
    entity = reading.span.attributes.get("traceloop.entity.name")
    return None if known == entity and reading.kind is not SpanKind.AGENT else known


def finish_reason(value: Any) -> str | None:
    """The finish reason inside output messages (deprecated since 1.42)."""
    return folding.finish_reason(messages.finish_reason(value))
