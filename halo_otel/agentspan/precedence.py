"""The one table: for every fact, which sources are believed, first to last (conventions §7).

The order of the rows is the rule; the first row that yields a fact wins. `kind` comes first, because
rows may hold for some kinds only; error rows come last, because they read other facts. Kinds that
a dialect states natively come before `gen_ai.operation.name`, which the Collector's normaliser and
dual writers derive with loss. Other facts take OTel's current key, then its older ones, then the
native dialects, then generic keys.
"""

from collections.abc import Mapping
from typing import Final

from halo_otel.agentspan import failure, fallback, folding, gen_ai, mcp, messages, openinference
from halo_otel.agentspan.source import Dialect, Source
from halo_otel.agentspan.values import (
    arguments,
    count,
    json_object,
    label,
    money,
    payload,
)
from halo_otel.model.facts import SpanKind

# Every dialect we know, in the order in which a span's dialects are listed.
DIALECTS: Final[tuple[Dialect, ...]] = (gen_ai.DIALECT, openinference.DIALECT, mcp.DIALECT)

_OTEL, _OI, _MCP, _ANY = gen_ai.DIALECT, openinference.DIALECT, mcp.DIALECT, fallback.DIALECT
_AGENT, _TOOL, _LLM = SpanKind.AGENT, SpanKind.TOOL, SpanKind.LLM
_DETAILS: Final = "gen_ai.client.inference.operation.details"

PRECEDENCE: Final[Mapping[str, tuple[Source, ...]]] = {
    "kind": (
        _OI.by("openinference.span.kind", openinference.kind),
        _MCP.by("mcp.method.name", mcp.kind),
        _OTEL.at("gen_ai.operation.name", gen_ai.kind),
        _OTEL.at("gen_ai.tool.name", gen_ai.tool_kind),
        _OTEL.at("gen_ai.tool.call.id", gen_ai.tool_kind),
        _OTEL.by("gen_ai.request.model", gen_ai.model_kind),
        _OTEL.by("name", gen_ai.name_kind),
        _ANY.at("tool.name", fallback.tool_kind),
    ),
    "tool_name": (
        _OTEL.at("gen_ai.tool.name", label, _TOOL),
        _OI.at("tool.name", label, _TOOL),
        _OTEL.by("name", gen_ai.name_target, _TOOL),
        _MCP.by("name", mcp.name_target, _TOOL),
        _ANY.at("tool.name", label, _TOOL),
        _OI.by("name", lambda reading: label(reading.span.name), _TOOL),
    ),
    "tool_call_id": (
        _OTEL.at("gen_ai.tool.call.id", label, _TOOL),
        _OI.at("tool.id", label, _TOOL),
        _OI.at("tool_call.id", label, _TOOL),
        _ANY.at("tool.call.id", label, _TOOL),
    ),
    "tool_arguments": (
        _OTEL.at("gen_ai.tool.call.arguments", arguments, _TOOL),
        _OTEL.event("gen_ai.tool.message", "content", arguments, _TOOL),
        _OI.at("input.value", json_object, _TOOL),
        _OI.at("tool.parameters", openinference.tool_parameters, _TOOL),
        _OI.at("input.value", arguments, _TOOL),
        _MCP.at("mcp.request.argument", arguments, _TOOL),
        _ANY.at("tool.arguments", arguments, _TOOL),
        _ANY.at("tool.input", arguments, _TOOL),
    ),
    "tool_result": (
        _OTEL.at("gen_ai.tool.call.result", payload, _TOOL),
        _OTEL.event("gen_ai.choice", "message", messages.content_text, _TOOL),
        _OI.at("output.value", payload, _TOOL),
        _MCP.at("mcp.response.value", payload, _TOOL),
        _ANY.at("tool.result", payload, _TOOL),
        _ANY.at("tool.output", payload, _TOOL),
    ),
    "agent_name": (
        _OTEL.by("gen_ai.agent.name", gen_ai.agent_name),
        _OI.at("agent.name", label),
        _OI.at("graph.node.name", label, _AGENT),
        _OI.at("graph.node.id", label, _AGENT),
        _OTEL.by("name", gen_ai.name_target, _AGENT),
        _ANY.at("agent.name", label, _AGENT, _LLM, _TOOL, SpanKind.CHAIN),
        _OI.by("name", openinference.agent_name, _AGENT),
    ),
    "agent_id": (
        _OTEL.at("gen_ai.agent.id", label),
        _OI.at("graph.node.id", label),
        _ANY.at("agent.id", label),
    ),
    "session_id": (
        _OTEL.at("gen_ai.conversation.id", label),
        _ANY.at("session.id", label),
        _OI.at("metadata", openinference.session),
    ),
    "user_id": (
        _ANY.at("user.id", label),
        _ANY.at("enduser.id", label),
    ),
    "provider": (
        _OTEL.at("gen_ai.provider.name", folding.provider),
        _OTEL.at("gen_ai.system", folding.provider),
        _OI.at("llm.provider", folding.provider),
        _OI.at("llm.system", folding.provider),
    ),
    "model_requested": (
        _OTEL.at("gen_ai.request.model", label),
        _OI.at("llm.request.model_name", label),
        _OI.at("llm.model_name", label),
        _OI.at("embedding.model_name", label),
        _OI.at("reranker.model_name", label),
    ),
    "model_served": (
        _OTEL.at("gen_ai.response.model", label),
        _OI.at("llm.response.model_name", label),
        _OI.at("llm.model_name", label),
    ),
    "input_tokens": (
        _OTEL.at("gen_ai.usage.input_tokens", count),
        _OTEL.at("gen_ai.usage.prompt_tokens", count),
        _OI.at("llm.token_count.prompt", count),
    ),
    "output_tokens": (
        _OTEL.at("gen_ai.usage.output_tokens", count),
        _OTEL.at("gen_ai.usage.completion_tokens", count),
        _OI.at("llm.token_count.completion", count),
    ),
    "cache_read_tokens": (
        _OTEL.at("gen_ai.usage.cache_read.input_tokens", count),
        _OTEL.at("gen_ai.usage.cache_read_input_tokens", count),
        _OI.at("llm.token_count.prompt_details.cache_read", count),
    ),
    "cache_write_tokens": (
        _OTEL.at("gen_ai.usage.cache_write.input_tokens", count),
        _OTEL.at("gen_ai.usage.cache_creation.input_tokens", count),
        _OTEL.at("gen_ai.usage.cache_creation_input_tokens", count),
        _OTEL.at("gen_ai.usage.cache_write_input_tokens", count),
        _OI.at("llm.token_count.prompt_details.cache_write", count),
    ),
    "reasoning_tokens": (
        _OTEL.at("gen_ai.usage.reasoning.output_tokens", count),
        _OI.at("llm.token_count.completion_details.reasoning", count),
    ),
    "cost": (_OI.at("llm.cost.total", money),),
    "input_text": (
        _OTEL.at("gen_ai.tool.call.arguments", payload, _TOOL),
        _OTEL.at("gen_ai.input.messages", messages.given),
        _OTEL.event(_DETAILS, "gen_ai.input.messages", messages.given),
        _OTEL.event("gen_ai.tool.message", "content", payload, _TOOL),
        _OTEL.event("gen_ai.user.message", "content", messages.content_text),
        _OTEL.event("gen_ai.content.prompt", "gen_ai.prompt", messages.given),
        _OTEL.at("gen_ai.prompt", messages.given),
        _OTEL.at("gen_ai.retrieval.query.text", payload),
        _OI.by("llm.input_messages", openinference.given),
        _OI.at("llm.prompts.0.prompt.text", payload),
        _OI.at("input.value", payload),
        _ANY.by("tool_arguments", lambda reading: reading.facts.get("tool_arguments"), _TOOL),
    ),
    "output_text": (
        _OTEL.at("gen_ai.tool.call.result", payload, _TOOL),
        _OTEL.at("gen_ai.output.messages", messages.answered),
        _OTEL.event(_DETAILS, "gen_ai.output.messages", messages.answered),
        _OTEL.event("gen_ai.choice", "message", messages.content_text),
        _OTEL.event("gen_ai.content.completion", "gen_ai.completion", messages.answered),
        _OTEL.at("gen_ai.completion", messages.answered),
        _OTEL.at("gen_ai.retrieval.documents", payload),
        _OI.by("llm.output_messages", openinference.answered),
        _OI.at("llm.choices.0.completion.text", payload),
        _OI.at("output.value", payload),
        _ANY.by("tool_result", lambda reading: reading.facts.get("tool_result"), _TOOL),
    ),
    "finish_reason": (
        _OTEL.at("gen_ai.response.finish_reasons", folding.finish_reason),
        _OTEL.event("gen_ai.choice", "finish_reason", folding.finish_reason),
        _OTEL.at("gen_ai.output.messages", gen_ai.finish_reason, _LLM),
        _OI.at("llm.finish_reason", folding.finish_reason),
    ),
    "prompt_version": (
        _OTEL.at("gen_ai.prompt.version", label),
        _OI.at("llm.prompt_template.version", label),
    ),
    "error_source": (
        _ANY.by("status", failure.status),
        _ANY.by("event:exception", failure.exception),
        _OTEL.at("gen_ai.tool.status", gen_ai.failed_tool, _TOOL),
        _MCP.at("rpc.response.status_code", mcp.failed),
        _ANY.at("error.type", failure.stated_type),
        _ANY.by("tool_result", failure.tool_result, _TOOL),
    ),
    "error_message": (
        _ANY.by("event:exception", failure.message_of_exception),
        _ANY.by("status", failure.message_of_status),
        _ANY.by("tool_result", failure.message_of_result, _TOOL),
    ),
    "error_type": (
        _ANY.by("event:exception", failure.type_of_exception),
        _ANY.at("error.type", failure.type_of),
        _ANY.by("error_message", failure.type_in_words),
    ),
}
