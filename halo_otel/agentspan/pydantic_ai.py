"""Pydantic AI, instrumentation formats 1 to 6.

Formats 1 and 2 have names (`agent run`, `running tool`) and bare keys (`tool_arguments`); later ones
are OTel's. Agents' totals stand under `gen_ai.aggregated_usage`, attempts under `pydantic_ai`.
"""

from typing import Any, Final

from halo_otel.agentspan.messages import answered
from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import decoded
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="pydantic_ai",
    markers=frozenset(
        {
            "model_request_parameters",
            "all_messages_events",
            "pydantic_ai.all_messages",
            "pydantic_ai.tool.retry.attempt",
            "pydantic_ai.output.retry.attempt",
            "pydantic_ai.model_request.attempt",
            "gen_ai.aggregated_usage.input_tokens",
        }
    ),
    scopes=("pydantic-ai",),
)


def name_kind(reading: Reading) -> SpanKind | None:
    """The kind that the names of formats 1 and 2 tell."""
    name = reading.span.name
    if name == "agent run":
        return SpanKind.AGENT
    if name == "running tool":
        return SpanKind.TOOL
    return SpanKind.CHAIN if name.startswith("running ") and name.endswith(" tools") else None


def choice(value: Any) -> str | None:
    """The answer among the events of format 1: the last one, of the form `{message}`."""
    events = decoded(value)
    if not isinstance(events, list) or not events:
        return None
    last = events[-1]
    return answered(last) if isinstance(last, dict) and "message" in last else None
