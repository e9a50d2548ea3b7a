"""Generic keys that no dialect owns, read last and on every span, also where no dialect is known."""

from typing import Any, Final

from halo_otel.agentspan.source import Dialect, Parse, Read, Reading
from halo_otel.agentspan.values import label, member
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(name="fallback")

_agent_argument: Final[Parse] = member(label, "agent_name")


def tool_kind(value: Any) -> SpanKind | None:
    """Something that names a tool is a tool span, where nothing else says what it is.

    An agent's name makes no agent span: `agent.name` is also what ECS calls a monitoring agent.
    """
    return SpanKind.TOOL if label(value) else None


def name(reading: Reading) -> str | None:
    """The span's own name, where a dialect names its spans after what they are."""
    return label(reading.span.name)


def tool_arguments(reading: Reading) -> str | None:
    """What a tool was given are its arguments."""
    known = reading.facts.get("tool_arguments")
    return known if isinstance(known, str) else None


def tool_result(reading: Reading) -> str | None:
    """What a tool answered is its result."""
    known = reading.facts.get("tool_result")
    return known if isinstance(known, str) else None


def handoff_by(tool: str) -> Read:
    """A reader of the agent that a call of the framework's own `tool` hands over to."""

    def read(reading: Reading) -> str | None:
        if reading.facts.get("tool_name") != tool:
            return None
        known = _agent_argument(reading.facts.get("tool_arguments"))
        return known if isinstance(known, str) else None

    return read
