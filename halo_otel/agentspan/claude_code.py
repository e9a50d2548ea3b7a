"""Claude Code: `span.type`, and bare keys that mean something only beside it.

`input_tokens` excludes what was read from and written to the cache. Content is redacted unless the
operator opts in.
"""

from typing import Any, Final

from halo_otel.agentspan.source import Dialect, Parse, Reading, Source
from halo_otel.agentspan.values import arguments, label, payload
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="claude_code", markers=frozenset({"span.type"}), scopes=("com.anthropic.claude_code",)
)

_KINDS: Final = {
    "claude_code.interaction": SpanKind.AGENT,
    "claude_code.llm_request": SpanKind.LLM,
    "claude_code.tool": SpanKind.TOOL,
}
_PREFIX: Final = "claude_code."
_DETAILS: Final = ("full_command", "file_path", "skill_name", "subagent_type")


def kind(reading: Reading) -> SpanKind | None:
    """The stated kind; some versions prefix only the name, other frameworks neither."""
    name = reading.span.name
    stated = label(reading.span.attributes.get("span.type"))
    if stated is None or not (stated.startswith(_PREFIX) or name.startswith(_PREFIX)):
        return None
    return _KINDS.get(_PREFIX + stated.removeprefix(_PREFIX))


def bare(key: str, parse: Parse, *kinds: SpanKind) -> Source:
    """A row that reads a bare key of Claude Code's own spans."""
    return DIALECT.at(key, parse, *kinds, guard=kind)


def tool_details(reading: Reading) -> str | None:
    """A call's arguments from the few details that are recorded without opting in to all."""
    if not kind(reading):
        return None
    details = {key: known for key in _DETAILS if (known := label(reading.span.attributes.get(key)))}
    return arguments(details) if details else None


def tool_output(reading: Reading) -> str | None:
    """A call's result, in the event `tool.output`."""
    event = reading.event("tool.output") or {}
    return next(
        (known for key in ("output", "content", "diff") if (known := payload(event.get(key)))), None
    )


def failed(value: Any) -> str | None:
    """`protocol` if a call or a request is recorded as unsuccessful."""
    return "protocol" if value is False or value == "false" else None


def excludes_cache(reading: Reading) -> str | None:
    """Cached tokens are beside the input tokens."""
    return "beside" if kind(reading) else None


def provider(reading: Reading) -> str | None:
    """The one provider whose models it speaks to, whoever hosts them."""
    return "anthropic" if kind(reading) else None


def error_message(reading: Reading) -> str | None:
    """The message of a call or a request that failed."""
    if "error_source" not in reading.facts or not kind(reading):
        return None
    return label(reading.span.attributes.get("error"))
