"""Every dialect, by the short name that the rows of the table use."""

from typing import Final

from halo_otel.agentspan import (
    claude_code,
    fallback,
    gen_ai,
    google_adk,
    langfuse,
    langsmith,
    logfire,
    mcp,
    mlflow,
    openinference,
    openllmetry,
    pydantic_ai,
    smolagents,
    strands,
    vercel_ai,
)
from halo_otel.agentspan.source import Dialect

OTEL: Final = gen_ai.DIALECT
OPENINFERENCE: Final = openinference.DIALECT
MCP: Final = mcp.DIALECT
TRACELOOP: Final = openllmetry.DIALECT
LANGFUSE: Final = langfuse.DIALECT
VERCEL: Final = vercel_ai.DIALECT
PYDANTIC: Final = pydantic_ai.DIALECT
LOGFIRE: Final = logfire.DIALECT
LANGSMITH: Final = langsmith.DIALECT
MLFLOW: Final = mlflow.DIALECT
ADK: Final = google_adk.DIALECT
STRANDS: Final = strands.DIALECT
SMOLAGENTS: Final = smolagents.DIALECT
CLAUDE: Final = claude_code.DIALECT
ANY: Final = fallback.DIALECT

# Every dialect we know, in the order in which a span's dialects are listed. `ANY` is none of them.
DIALECTS: Final[tuple[Dialect, ...]] = (
    OTEL,
    OPENINFERENCE,
    MCP,
    TRACELOOP,
    LANGFUSE,
    VERCEL,
    PYDANTIC,
    LOGFIRE,
    LANGSMITH,
    MLFLOW,
    ADK,
    STRANDS,
    SMOLAGENTS,
    CLAUDE,
)
