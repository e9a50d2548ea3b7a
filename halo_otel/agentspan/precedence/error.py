"""Errors. They come last, because they read other facts."""

from collections.abc import Mapping
from typing import Final

from halo_otel.agentspan import claude_code, failure, langfuse, langsmith, logfire, mcp, strands
from halo_otel.agentspan.precedence.dialects import (
    ADK,
    ANY,
    CLAUDE,
    LANGFUSE,
    LANGSMITH,
    LOGFIRE,
    MCP,
    STRANDS,
)
from halo_otel.agentspan.source import Source
from halo_otel.model.facts import SpanKind

_TOOL: Final = SpanKind.TOOL
_LLM: Final = SpanKind.LLM

ROWS: Final[Mapping[str, tuple[Source, ...]]] = {
    "error_source": (
        ANY.by("status", failure.status),
        ANY.by("event:exception", failure.exception),
        STRANDS.at("gen_ai.tool.status", strands.failed_tool, _TOOL),
        LANGFUSE.at("langfuse.observation.level", langfuse.failed),
        LOGFIRE.at("logfire.level_num", logfire.failed),
        claude_code.bare("success", claude_code.failed, _TOOL, _LLM),
        MCP.at("rpc.response.status_code", mcp.failed),
        ANY.at("error.type", failure.stated_type),
        ANY.by("output_text", failure.tool_result, _TOOL),
    ),
    "error_message": (
        LANGSMITH.by("event:exception", langsmith.error_message),
        ADK.by("output_text", failure.message_of_result, _TOOL),  # its status repeats the type
        ANY.by("event:exception", failure.message_of_exception),
        ANY.by("status", failure.message_of_status),
        LANGFUSE.on("langfuse.observation.status_message", langfuse.status_message),
        LOGFIRE.on("error", logfire.error_message),
        CLAUDE.on("error", claude_code.error_message, _TOOL, _LLM),
        ANY.by("output_text", failure.message_of_result, _TOOL),
    ),
    "error_type": (
        LANGSMITH.by("event:exception", langsmith.error_type),
        ANY.by("event:exception", failure.type_of_exception),
        ANY.at("error.type", failure.type_of),
        ANY.by("error_message", failure.type_in_words),
    ),
}
