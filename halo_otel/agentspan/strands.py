"""AWS Strands: OTel's keys, content in span events, tools' outcomes in `gen_ai.tool.status`.

The events are OTel's older ones, or several `gen_ai.client.inference.operation.details` on one
span, of which one has the input and another the output; on tool spans too.
"""

from typing import Any, Final

from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import label
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="strands",
    markers=frozenset({"event_loop.cycle_id", "gen_ai.tool.status", "gen_ai.agent.tools"}),
    scopes=("strands.telemetry.tracer", "strands-agents"),
)


def name_kind(reading: Reading) -> SpanKind | None:
    """One turn of the loop, which in some versions has no operation."""
    return SpanKind.CHAIN if reading.span.name.startswith("execute_event_loop_cycle") else None


def failed_tool(value: Any) -> str | None:
    """`protocol` if a tool's stated status is an error."""
    status = label(value)
    return "protocol" if status is not None and status.lower() == "error" else None
