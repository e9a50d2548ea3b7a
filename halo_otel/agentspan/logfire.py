"""Logfire's own spans, and the OpenAI Agents SDK as Logfire tells it.

Logfire exports a placeholder for every span that begins, whose content the span itself repeats.
What an OpenAI Agents span is, its message template tells; the rest stands in bare keys, as JSON.
"""

from typing import Any, Final

from halo_otel.agentspan import messages
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import decoded, json_payload, label
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="logfire",
    markers=frozenset(
        {"logfire.msg", "logfire.msg_template", "logfire.span_type", "logfire.json_schema"}
    ),
    scopes=("logfire",),
)

_TEMPLATES: Final = (
    ("Agent run: ", SpanKind.AGENT),
    ("Function: ", SpanKind.TOOL),
    ("Chat completion with ", SpanKind.LLM),
    ("Responses API", SpanKind.LLM),
    ("Guardrail ", SpanKind.GUARDRAIL),
    ("Handoff: ", SpanKind.CHAIN),
    ("OpenAI Agents trace: ", SpanKind.CHAIN),
    ("Task: ", SpanKind.CHAIN),
    ("Turn ", SpanKind.CHAIN),
)
_AGENTS: Final = "logfire.openai_agents"
_ERROR_LEVEL: Final = 17  # OpenTelemetry's severity number of ERROR


def superseded(value: Any) -> bool | None:
    """Whether a span is the placeholder of one that is still to come."""
    return True if value == "pending_span" else None


def template_kind(reading: Reading) -> SpanKind | None:
    """The kind that the template of an OpenAI Agents span tells."""
    if reading.span.scope.name != _AGENTS:
        return None
    template = reading.span.attributes.get("logfire.msg_template")
    if not isinstance(template, str):
        template = reading.span.name
    return next((kind for start, kind in _TEMPLATES if template.startswith(start)), None)


def request(value: Any) -> str | None:
    """What was asked in a request, recorded whole; without messages it says nothing."""
    found = decoded(value)
    return messages.given(found) if isinstance(found, dict) and "messages" in found else None


def answered(value: Any) -> str | None:
    """What was answered: the last of a call's events, where the assistant says it."""
    events = decoded(value)
    last = events[-1] if isinstance(events, list) and events else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return None
    return messages.message_text(last)


def workflow(reading: Reading) -> str | None:
    """The workflow in a trace's own span."""
    template = reading.span.attributes.get("logfire.msg_template")
    if not isinstance(template, str) or not template.startswith("OpenAI Agents trace: "):
        return None
    return label(reading.span.attributes.get("name"))


def failed(value: Any) -> str | None:
    """`protocol` for the level ERROR and above."""
    return "protocol" if type(value) is int and value >= _ERROR_LEVEL else None


def error_message(reading: Reading) -> str | None:
    """The message of an OpenAI Agents span's error, with its cause where one is told."""
    if "error_source" not in reading.facts:
        return None
    value = reading.span.attributes.get("error")
    error = decoded(value)
    if not isinstance(error, dict):
        return json_payload(value)
    message, data = label(error.get("message")), error.get("data")
    cause = label(data.get("error")) if isinstance(data, dict) else None
    return f"{message}: {cause}" if message and cause else message
