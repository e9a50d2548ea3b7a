"""A tool call: its name, id, arguments and result. On tool spans only: elsewhere the generic keys
hold something else."""

from collections.abc import Mapping
from typing import Final

from halo_otel.agentspan import (
    claude_code,
    fallback,
    gen_ai,
    google_adk,
    langsmith,
    mcp,
    messages,
    openinference,
    openllmetry,
    smolagents,
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
    SMOLAGENTS,
    STRANDS,
    TRACELOOP,
    VERCEL,
)
from halo_otel.agentspan.source import Source
from halo_otel.agentspan.unknown import reasons, whole
from halo_otel.agentspan.values import arguments, json_object, json_payload, label, payload
from halo_otel.model.facts import SpanKind

_TOOL: Final = SpanKind.TOOL
_DETAILS: Final = "gen_ai.client.inference.operation.details"

_ARGUMENTS: Final[tuple[Source, ...]] = (
    TRACELOOP.at("gen_ai.tool.call.arguments", openllmetry.langchain_arguments, _TOOL),
    OTEL.at("gen_ai.tool.call.arguments", arguments, _TOOL),
    OTEL.event("gen_ai.tool.message", "content", arguments, _TOOL),
    OTEL.event(_DETAILS, "gen_ai.input.messages", messages.call_arguments, _TOOL),
    OTEL.event("gen_ai.user.message", "content", json_object, _TOOL),
    SMOLAGENTS.at("input.value", smolagents.tool_arguments, _TOOL),
    OPENINFERENCE.at("input.value", json_object, _TOOL),
    OPENINFERENCE.at("tool.parameters", openinference.tool_parameters, _TOOL),
    OPENINFERENCE.at("input.value", arguments, _TOOL),
    MCP.at("mcp.request.argument", arguments, _TOOL),
    VERCEL.at("ai.toolCall.args", arguments, _TOOL),
    PYDANTIC.at("tool_arguments", arguments, _TOOL),
    LANGFUSE.at("langfuse.observation.input", arguments, _TOOL),
    MLFLOW.at("mlflow.spanInputs", arguments, _TOOL),
    LANGSMITH.at("gen_ai.prompt", langsmith.tool_arguments, _TOOL),
    ADK.at("gcp.vertex.agent.tool_call_args", google_adk.tool_arguments, _TOOL),
    TRACELOOP.at("traceloop.entity.input", openllmetry.tool_arguments, _TOOL),
    claude_code.bare("tool_input", arguments, _TOOL),
    CLAUDE.event("claude_code.tool_result", "tool_input", arguments, _TOOL),
    CLAUDE.by("span.type", claude_code.tool_details, _TOOL),
    LOGFIRE.at("input", arguments, _TOOL),
    ANY.at("tool.arguments", arguments, _TOOL),
    ANY.at("tool.input", arguments, _TOOL),
)
RESULT: Final[tuple[Source, ...]] = (
    STRANDS.at("gen_ai.tool.call.result", messages.content_text, _TOOL),
    ADK.at("gen_ai.tool.call.result", google_adk.tool_result, _TOOL),
    MLFLOW.at("gen_ai.tool.call.result", json_payload, _TOOL),
    VERCEL.at("gen_ai.tool.call.result", json_payload, _TOOL),
    TRACELOOP.at("gen_ai.tool.call.result", openllmetry.langchain_result, _TOOL),
    OTEL.at("gen_ai.tool.call.result", payload, _TOOL),
    OTEL.event("gen_ai.choice", "message", messages.message_text, _TOOL),
    OTEL.event(_DETAILS, "gen_ai.output.messages", messages.returned, _TOOL),
    OPENINFERENCE.at("output.value", openinference.tool_result, _TOOL),
    MCP.at("mcp.response.value", payload, _TOOL),
    VERCEL.at("ai.toolCall.result", json_payload, _TOOL),
    PYDANTIC.at("tool_response", payload, _TOOL),
    LANGFUSE.at("langfuse.observation.output", json_payload, _TOOL),
    MLFLOW.at("mlflow.spanOutputs", json_payload, _TOOL),
    LANGSMITH.at("gen_ai.completion", langsmith.tool_result, _TOOL),
    ADK.at("gcp.vertex.agent.tool_response", google_adk.tool_result, _TOOL),
    TRACELOOP.at("traceloop.entity.output", openllmetry.tool_result, _TOOL),
    CLAUDE.by("event:tool.output", claude_code.tool_output, _TOOL),
    claude_code.bare("new_context", payload, _TOOL),
    LOGFIRE.at("output", payload, _TOOL),
    ANY.at("tool.result", payload, _TOOL),
    ANY.at("tool.output", payload, _TOOL),
)
ROWS: Final[Mapping[str, tuple[Source, ...]]] = {
    "tool_name": (
        OTEL.at("gen_ai.tool.name", label, _TOOL),
        OPENINFERENCE.at("tool.name", label, _TOOL),
        VERCEL.at("ai.toolCall.name", label, _TOOL),
        OTEL.by("name", gen_ai.name_target, _TOOL),
        MCP.by("name", mcp.name_target, _TOOL),
        TRACELOOP.at("traceloop.entity.name", label, _TOOL),
        claude_code.bare("tool_name", label, _TOOL),
        LOGFIRE.at("name", label, _TOOL),
        ANY.at("tool.name", label, _TOOL),
        OPENINFERENCE.by("name", fallback.name, _TOOL),
        LANGFUSE.by("name", fallback.name, _TOOL),
        MLFLOW.by("name", fallback.name, _TOOL),
        LANGSMITH.by("name", fallback.name, _TOOL),
    ),
    "tool_call_id": (
        OTEL.at("gen_ai.tool.call.id", label, _TOOL),
        OPENINFERENCE.at("tool.id", label, _TOOL),
        OPENINFERENCE.at("tool_call.id", label, _TOOL),
        VERCEL.at("ai.toolCall.id", label, _TOOL),
        TRACELOOP.at("traceloop.entity.input", openllmetry.tool_call_id, _TOOL),
        claude_code.bare("tool_use_id", label, _TOOL),
        ANY.at("tool.call.id", label, _TOOL),
    ),
    "tool_arguments": whole(_ARGUMENTS),
    "tool_result": whole(RESULT),
}

# What is read where a fact is unknown.
OTHERWISE: Final[Mapping[str, Mapping[str, tuple[Source, ...]]]] = {
    "tool_arguments": {
        "arguments_unknown": (
            ADK.at("gcp.vertex.agent.tool_call_args", google_adk.withheld, _TOOL),
            *reasons(_ARGUMENTS),
        )
    },
    "tool_result": {
        "result_unknown": (
            ADK.at("gcp.vertex.agent.tool_response", google_adk.withheld, _TOOL),
            ADK.at("gen_ai.tool.call.result", google_adk.withheld, _TOOL),
            *reasons(RESULT),
        )
    },
}
