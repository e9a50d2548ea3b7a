"""Google's Agent Development Kit: `gcp.vertex.agent.*` beside OTel's keys.

With content switched off it writes `{}` for arguments, results and requests: unknown, not empty.
"""

from typing import Any, Final

from halo_otel.agentspan import folding, messages
from halo_otel.agentspan.definitions import definitions as offered
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import arguments, decoded, payload, unwrapped
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="google_adk",
    markers=frozenset(
        {
            "gcp.vertex.agent.invocation_id",
            "gcp.vertex.agent.session_id",
            "gcp.vertex.agent.event_id",
            "gcp.vertex.agent.llm_request",
            "gcp.vertex.agent.tool_call_args",
        }
    ),
    scopes=("gcp.vertex.agent",),
)

_WITHHELD: Final = "{}"
_NAMES: Final = {
    "invocation": SpanKind.CHAIN,  # around the agent's own span; version 2 says `invoke_workflow`
    "agent_run": SpanKind.AGENT,
    "call_llm": SpanKind.LLM,
}


def name_kind(reading: Reading) -> SpanKind | None:
    """The kind that the names of version 1 tell."""
    return _NAMES.get(reading.span.name.partition(" ")[0])


def name_target(reading: Reading) -> str | None:
    """The agent in a name of the form `agent_run [{agent}]`."""
    operation, _, target = reading.span.name.partition(" ")
    return target.strip("[] ") or None if operation == "agent_run" else None


def tool_arguments(value: Any) -> str | None:
    """A call's arguments."""
    return None if value == _WITHHELD else arguments(value)


def tool_result(value: Any) -> str | None:
    """A call's result, without the `result` that ADK puts around plain values."""
    return None if value == _WITHHELD else payload(unwrapped(value, "result"))


def withheld(value: Any) -> str | None:
    """`redacted` where content is switched off."""
    return "redacted" if value == _WITHHELD else None


def given(value: Any) -> str | None:
    """What was asked in a request, recorded whole."""
    return None if value == _WITHHELD else messages.given(value)


def instructions(value: Any) -> str | None:
    """What the model was told to be, in a request, recorded whole."""
    found = decoded(value)
    config = found.get("config") if isinstance(found, dict) else None
    told = config.get("system_instruction") if isinstance(config, dict) else None
    return messages.message_text(told) if told else None


def definitions(value: Any) -> str | None:
    """The tools offered in a request, recorded whole."""
    found = decoded(value)
    config = found.get("config") if isinstance(found, dict) else None
    return offered(config["tools"]) if isinstance(config, dict) and "tools" in config else None


def answered(value: Any) -> str | None:
    """What was answered."""
    return None if value == _WITHHELD else messages.answered(value)


def finish_reason(value: Any) -> str | None:
    """Why the model stopped."""
    found = decoded(value)
    return folding.finish_reason(found.get("finish_reason")) if isinstance(found, dict) else None
