"""The Model Context Protocol: `mcp.method.name`, spans named `{method} {target}`.

One logical call often leaves three spans: the agent's `execute_tool`, the client's `tools/call` and
the server's. The server's side is structure here, never a second call. The client's side may be the
only record of the call and stays a tool span; where its parent is the tool span of the same name,
the tree shows that they are one, and `"mcp" in facts.dialects` tells which of the two to skip.
"""

from typing import Any, Final

from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import label
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(name="mcp", markers=frozenset({"mcp.method.name"}))

_CALL: Final = "tools/call"
_SERVER: Final = 2  # opentelemetry.proto.trace.v1.Span.SpanKind


def kind(reading: Reading) -> SpanKind | None:
    """A tool call on the client's side, structure on the server's; no other method is a kind."""
    if reading.span.attributes.get("mcp.method.name") != _CALL:
        return None
    return SpanKind.CHAIN if reading.span.kind == _SERVER else SpanKind.TOOL


def name_target(reading: Reading) -> str | None:
    """The tool in a name of the form `tools/call {tool}`, or as its Python SDK says, `MCP send …`."""
    method, _, target = reading.span.name.removeprefix("MCP send ").partition(" ")
    return label(target) if method == _CALL else None


def failed(value: Any) -> str | None:
    """`protocol` for a JSON-RPC error code, which stands only on failed requests."""
    return "protocol" if label(value) else None
