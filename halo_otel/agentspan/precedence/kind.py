"""What a span is: a placeholder, and its kind.

Kinds that a dialect states natively come before `gen_ai.operation.name`, which the Collector's
normaliser and dual writers derive with loss."""

from collections.abc import Mapping
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
    strands,
    vercel_ai,
)
from halo_otel.agentspan.precedence.dialects import (
    ADK,
    ANY,
    CLAUDE,
    LANGFUSE,
    LANGSMITH,
    LOGFIRE,
    MCP,
    MLFLOW,
    OPENINFERENCE,
    OTEL,
    PYDANTIC,
    STRANDS,
    TRACELOOP,
    VERCEL,
)
from halo_otel.agentspan.source import Source

ROWS: Final[Mapping[str, tuple[Source, ...]]] = {
    "superseded": (LOGFIRE.at("logfire.span_type", logfire.superseded),),
    "kind": (
        LANGFUSE.at("langfuse.observation.type", langfuse.kind),
        OPENINFERENCE.on("openinference.span.kind", openinference.kind),
        MCP.on("mcp.method.name", mcp.kind),
        MLFLOW.at("mlflow.spanType", mlflow.kind),
        LANGSMITH.on("langsmith.span.kind", langsmith.kind),
        VERCEL.at("ai.operationId", vercel_ai.kind),
        CLAUDE.on("span.type", claude_code.kind),
        TRACELOOP.on("traceloop.span.kind", openllmetry.normalised_kind),
        OTEL.at("gen_ai.operation.name", gen_ai.kind),
        OTEL.at("gen_ai.operation.name", vercel_ai.step_kind),
        OTEL.at("gen_ai.operation.name", openllmetry.operation_kind),
        TRACELOOP.at("traceloop.span.kind", openllmetry.kind),
        TRACELOOP.at("llm.request.type", openllmetry.request_kind),
        OTEL.at("gen_ai.tool.name", gen_ai.tool_kind),
        OTEL.at("gen_ai.tool.call.id", gen_ai.tool_kind),
        VERCEL.at("ai.toolCall.name", gen_ai.tool_kind),
        OTEL.by("gen_ai.request.model", gen_ai.model_kind),
        OTEL.by("name", gen_ai.name_kind),
        LOGFIRE.by("name", logfire.template_kind),
        PYDANTIC.by("name", pydantic_ai.name_kind),
        ADK.by("name", google_adk.name_kind),
        STRANDS.by("name", strands.name_kind),
        LANGFUSE.at("langfuse.observation.type", langfuse.structure),
        ANY.at("tool.name", fallback.tool_kind),
    ),
}
