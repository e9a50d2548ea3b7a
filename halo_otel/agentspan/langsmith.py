"""LangSmith's OTel exporter: `langsmith.*`, inputs and outputs whole as JSON in `gen_ai.prompt` and
`gen_ai.completion`.

It has no kind for agents (they are chains) and calls a retriever's operation `embeddings`.
`langsmith.trace.session_name` is the project, not a session.
"""

import re
from typing import Any, Final

from halo_otel.agentspan import messages
from halo_otel.agentspan.failure import ERROR_MESSAGE_CHARS_MAX
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import arguments, decoded, label, payload, unwrapped
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="langsmith",
    markers=frozenset(
        {
            "langsmith.span.kind",
            "langsmith.trace.name",
            "langsmith.trace.id",
            "langsmith.trace.session_name",
        }
    ),
    scopes=("langsmith",),
)

_KINDS: Final = {
    "llm": SpanKind.LLM,
    "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER,
    "embedding": SpanKind.EMBEDDING,
    "chain": SpanKind.CHAIN,
    "prompt": SpanKind.CHAIN,
    "parser": SpanKind.CHAIN,
}


_REPR: Final = re.compile(r"([A-Za-z_][\w.]{0,80})\((['\"])(.*?)\2,?\)(?:\n|$)")


def kind(reading: Reading) -> SpanKind | None:
    """The stated kind; a chain with "agent" in its name is an agent."""
    stated = label(reading.span.attributes.get("langsmith.span.kind"))
    if stated == "chain" and "agent" in reading.span.name.lower():
        return SpanKind.AGENT
    return None if stated is None else _KINDS.get(stated.lower())


def tool_arguments(value: Any) -> str | None:
    """A call's arguments; of a tool with one input, what is in it."""
    return arguments(unwrapped(value, "input"))


def tool_result(value: Any) -> str | None:
    """A call's result, without the `output` around it; a serialised message's content."""
    found = unwrapped(value, "output")
    if isinstance(found, dict) and "tool_call_id" in found and "content" in found:
        found = found["content"]
    return payload(found)


def error_type(reading: Reading) -> str | None:
    """The type in an exception's `repr`; the event itself always says `Exception`."""
    found = _exception(reading)
    return found[1] if found else None


def error_message(reading: Reading) -> str | None:
    """The message in an exception's `repr`, which a traceback follows."""
    found = _exception(reading)
    return found[3][:ERROR_MESSAGE_CHARS_MAX] or None if found else None


def _exception(reading: Reading) -> re.Match[str] | None:
    if "error_source" not in reading.facts:
        return None
    message = (reading.event("exception") or {}).get("exception.message")
    return _REPR.match(message) if isinstance(message, str) else None


def given(value: Any) -> str | None:
    """What was asked."""
    return messages.given(unwrapped(value, "input", "question"))


def answered(value: Any) -> str | None:
    """What was answered: messages, LangChain's `generations`, or an `output`."""
    found = unwrapped(value, "output")
    if isinstance(found, str) and '"generations"' in found:
        members = decoded(found)
        generations = members.get("generations") if isinstance(members, dict) else None
        while isinstance(generations, list) and generations:
            generations = generations[-1]
        if isinstance(generations, dict) and (said := label(generations.get("text"))):
            return said
    return messages.answered(found)
