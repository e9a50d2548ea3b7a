"""Who acts, for whom: agent, workflow, session, user, and to whom is handed over."""

from collections.abc import Mapping
from typing import Final

from halo_otel.agentspan import fallback, gen_ai, google_adk, logfire, openinference
from halo_otel.agentspan.precedence.dialects import (
    ADK,
    ANY,
    LANGFUSE,
    LANGSMITH,
    LOGFIRE,
    MLFLOW,
    OPENINFERENCE,
    OTEL,
    PYDANTIC,
    STRANDS,
    TRACELOOP,
    VERCEL,
)
from halo_otel.agentspan.source import Source
from halo_otel.agentspan.values import json_label, label
from halo_otel.model.facts import SpanKind

_AGENT: Final = SpanKind.AGENT
_TOOL: Final = SpanKind.TOOL
_LLM: Final = SpanKind.LLM

ROWS: Final[Mapping[str, tuple[Source, ...]]] = {
    "agent_name": (
        OTEL.on("gen_ai.agent.name", gen_ai.agent_name),
        OPENINFERENCE.at("agent.name", label),
        OPENINFERENCE.at("graph.node.name", label, _AGENT),
        OPENINFERENCE.at("graph.node.id", label, _AGENT),
        PYDANTIC.at("agent_name", label),
        LOGFIRE.at("agent_name", label),
        LOGFIRE.at("name", label, _AGENT),
        VERCEL.at("ai.telemetry.functionId", label),
        VERCEL.at("resource.name", label, _AGENT),
        TRACELOOP.at("traceloop.entity.name", label, _AGENT),
        OTEL.by("name", gen_ai.name_target, _AGENT),
        ADK.by("name", google_adk.name_target, _AGENT),
        ANY.at("agent.name", label, _AGENT, _LLM, _TOOL, SpanKind.CHAIN),
        OPENINFERENCE.by("name", openinference.agent_name, _AGENT),
        LANGFUSE.by("name", fallback.name, _AGENT),
        MLFLOW.by("name", fallback.name, _AGENT),
        LANGSMITH.by("name", fallback.name, _AGENT),
    ),
    "agent_id": (
        OTEL.at("gen_ai.agent.id", label),
        OPENINFERENCE.at("graph.node.id", label),
        ANY.at("agent.id", label),
    ),
    "agent_version": (
        OTEL.at("gen_ai.agent.version", label),
        LANGSMITH.at("langsmith.metadata.revision_id", label),
        LANGFUSE.at("langfuse.version", json_label),
    ),
    "workflow": (
        OTEL.at("gen_ai.workflow.name", label),
        TRACELOOP.at("traceloop.workflow.name", label),
        OTEL.by("name", gen_ai.workflow, SpanKind.CHAIN),
        LOGFIRE.by("name", logfire.workflow, SpanKind.CHAIN),
    ),
    "session_id": (
        OTEL.at("gen_ai.conversation.id", label),
        ANY.at("session.id", label),
        LANGFUSE.at("langfuse.session.id", label),
        VERCEL.at("ai.telemetry.metadata.sessionId", label),
        VERCEL.at("ai.settings.context.sessionId", label),
        TRACELOOP.at("traceloop.association.properties.session_id", label),
        TRACELOOP.at("traceloop.association.properties.thread_id", label),
        TRACELOOP.at("traceloop.association.properties.conversation_id", label),
        LANGSMITH.at("langsmith.metadata.session_id", label),
        LANGSMITH.at("langsmith.metadata.thread_id", label),
        LANGSMITH.at("langsmith.metadata.conversation_id", label),
        OPENINFERENCE.at("metadata", openinference.session),
        MLFLOW.at("mlflow.trace.session", json_label),
        ADK.at("gcp.vertex.agent.session_id", label),
        LOGFIRE.at("group_id", json_label),
    ),
    "user_id": (
        ANY.at("user.id", label),
        LANGFUSE.at("langfuse.user.id", label),
        VERCEL.at("ai.telemetry.metadata.userId", label),
        TRACELOOP.at("traceloop.association.properties.user_id", label),
        TRACELOOP.at("gen_ai.user", label),
        TRACELOOP.at("llm.user", label),
        LANGSMITH.at("langsmith.metadata.user_id", label),
        MLFLOW.at("mlflow.trace.user", json_label),
        ANY.at("enduser.id", label),
    ),
    "handoff_target": (
        OPENINFERENCE.by("name", openinference.handoff_target, SpanKind.CHAIN),
        LOGFIRE.at("to_agent", label, SpanKind.CHAIN),
        TRACELOOP.at("gen_ai.handoff.to_agent", label),
        ADK.by("tool_arguments", fallback.handoff_by("transfer_to_agent"), _TOOL),
        STRANDS.by("tool_arguments", fallback.handoff_by("handoff_to_agent"), _TOOL),
    ),
}
