"""A model call: provider, models, tokens, cost, how it ended and how long the first token took."""

from collections.abc import Mapping
from typing import Final

from halo_otel.agentspan import claude_code, folding, gen_ai, google_adk, mlflow, usage
from halo_otel.agentspan.precedence.dialects import (
    ADK,
    ANY,
    CLAUDE,
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
from halo_otel.agentspan.values import (
    count,
    json_label,
    label,
    member,
    milliseconds,
    money,
    seconds,
)
from halo_otel.model.facts import SpanKind

_AGENT: Final = SpanKind.AGENT
_LLM: Final = SpanKind.LLM
_DETAILS: Final = "gen_ai.client.inference.operation.details"
_LF_USAGE: Final = "langfuse.observation.usage_details"
_LS_USAGE: Final = "langsmith.metadata.usage_metadata"
_MLFLOW_USAGE: Final = "mlflow.chat.tokenUsage"

ROWS: Final[Mapping[str, tuple[Source, ...]]] = {
    "provider": (
        OTEL.at("gen_ai.provider.name", folding.provider),
        OTEL.at("gen_ai.system", folding.provider),
        OPENINFERENCE.at("llm.provider", folding.provider),
        OPENINFERENCE.at("llm.system", folding.provider),
        VERCEL.at("ai.model.provider", folding.provider),
        LANGSMITH.at("langsmith.metadata.ls_provider", folding.provider),
        MLFLOW.at("mlflow.llm.provider", mlflow.provider),
        CLAUDE.on("span.type", claude_code.provider, _LLM),
    ),
    "model_requested": (
        # Recorded from the call; MLflow's other keys then tell what was served.
        MLFLOW.at("model", json_label, _LLM),
        OTEL.at("gen_ai.request.model", label),
        OPENINFERENCE.at("llm.request.model_name", label),
        # The name beside it is the requested one at first, and the served one in the end.
        OPENINFERENCE.at("llm.invocation_parameters", member(label, "model"), _LLM),
        OPENINFERENCE.at("llm.model_name", label),
        OPENINFERENCE.at("embedding.model_name", label),
        OPENINFERENCE.at("reranker.model_name", label),
        TRACELOOP.at("llm.request.model", label),
        LANGFUSE.at("langfuse.observation.model.name", label),
        VERCEL.at("ai.model.id", label),
        LANGSMITH.at("langsmith.metadata.ls_model_name", label),
        MLFLOW.at("mlflow.llm.model", json_label),
        PYDANTIC.at("model_name", label),
        claude_code.bare("model", label, _LLM),
    ),
    "model_served": (
        OTEL.at("gen_ai.response.model", label),
        OPENINFERENCE.at("llm.response.model_name", label),
        OPENINFERENCE.at("llm.model_name", label),
        TRACELOOP.at("llm.response.model", label),
        # One name for both: its OpenAI client writes the served over the requested.
        LANGFUSE.at("langfuse.observation.model.name", label),
        MLFLOW.at("mlflow.llm.model", json_label),
        VERCEL.at("ai.response.model", label),
    ),
    "input_tokens": (
        OTEL.at("gen_ai.usage.input_tokens", count),
        OTEL.at("gen_ai.usage.prompt_tokens", count),
        OPENINFERENCE.at("llm.token_count.prompt", count),
        TRACELOOP.at("llm.usage.prompt_tokens", count),
        LANGFUSE.at(_LF_USAGE, member(count, "input", "input_tokens", "prompt_tokens")),
        VERCEL.at("ai.usage.inputTokens", count),
        VERCEL.at("ai.usage.promptTokens", count),
        VERCEL.at("ai.usage.tokens", count, SpanKind.EMBEDDING),
        LANGSMITH.at(_LS_USAGE, member(count, "input_tokens")),
        LANGSMITH.at("langsmith.usage_metadata", member(count, "input_tokens")),
        MLFLOW.at(_MLFLOW_USAGE, member(count, "input_tokens")),
        PYDANTIC.at("gen_ai.aggregated_usage.input_tokens", count, _AGENT),
        claude_code.bare("input_tokens", count, _LLM),
    ),
    "output_tokens": (
        OTEL.at("gen_ai.usage.output_tokens", count),
        OTEL.at("gen_ai.usage.completion_tokens", count),
        OPENINFERENCE.at("llm.token_count.completion", count),
        TRACELOOP.at("llm.usage.completion_tokens", count),
        LANGFUSE.at(_LF_USAGE, member(count, "output", "output_tokens", "completion_tokens")),
        VERCEL.at("ai.usage.outputTokens", count),
        VERCEL.at("ai.usage.completionTokens", count),
        LANGSMITH.at(_LS_USAGE, member(count, "output_tokens")),
        LANGSMITH.at("langsmith.usage_metadata", member(count, "output_tokens")),
        MLFLOW.at(_MLFLOW_USAGE, member(count, "output_tokens")),
        PYDANTIC.at("gen_ai.aggregated_usage.output_tokens", count, _AGENT),
        claude_code.bare("output_tokens", count, _LLM),
    ),
    "cache_read_tokens": (
        OTEL.at("gen_ai.usage.cache_read.input_tokens", count),
        OTEL.at("gen_ai.usage.cache_read_input_tokens", count),
        OPENINFERENCE.at("llm.token_count.prompt_details.cache_read", count),
        LANGFUSE.at(
            _LF_USAGE,
            member(
                count,
                "input_cached_tokens",
                "cache_read_input_tokens",
                "prompt_tokens_details.cached_tokens",
                "input_tokens_details.cached_tokens",
            ),
        ),
        VERCEL.at("ai.usage.cachedInputTokens", count),
        LANGSMITH.at(_LS_USAGE, member(count, "input_token_details.cache_read")),
        LANGSMITH.at("langsmith.usage_metadata", member(count, "input_token_details.cache_read")),
        MLFLOW.at(_MLFLOW_USAGE, member(count, "cache_read_input_tokens")),
        PYDANTIC.at("gen_ai.aggregated_usage.cache_read.input_tokens", count, _AGENT),
        LOGFIRE.at("usage", member(count, "input_tokens_details.cached_tokens"), _LLM),
        claude_code.bare("cache_read_tokens", count, _LLM),
    ),
    "cache_write_tokens": (
        OTEL.at("gen_ai.usage.cache_write.input_tokens", count),
        OTEL.at("gen_ai.usage.cache_creation.input_tokens", count),
        OTEL.at("gen_ai.usage.cache_creation_input_tokens", count),
        OTEL.at("gen_ai.usage.cache_write_input_tokens", count),
        OPENINFERENCE.at("llm.token_count.prompt_details.cache_write", count),
        LANGFUSE.at(_LF_USAGE, member(count, "cache_creation_input_tokens")),
        LANGSMITH.at(_LS_USAGE, member(count, "input_token_details.cache_creation")),
        LANGSMITH.at(
            "langsmith.usage_metadata", member(count, "input_token_details.cache_creation")
        ),
        MLFLOW.at(_MLFLOW_USAGE, member(count, "cache_creation_input_tokens")),
        claude_code.bare("cache_creation_tokens", count, _LLM),
    ),
    "reasoning_tokens": (
        OTEL.at("gen_ai.usage.reasoning.output_tokens", count),
        OTEL.at("gen_ai.usage.reasoning_tokens", count),
        OPENINFERENCE.at("llm.token_count.completion_details.reasoning", count),
        TRACELOOP.at("llm.usage.reasoning_tokens", count),
        PYDANTIC.at("gen_ai.usage.details.reasoning_tokens", count),
        LANGFUSE.at(
            _LF_USAGE,
            member(
                count,
                "output_reasoning_tokens",
                "reasoning_tokens",
                "completion_tokens_details.reasoning_tokens",
                "output_tokens_details.reasoning_tokens",
            ),
        ),
        VERCEL.at("ai.usage.reasoningTokens", count),
        LANGSMITH.at(_LS_USAGE, member(count, "output_token_details.reasoning")),
        LOGFIRE.at("usage", member(count, "output_tokens_details.reasoning_tokens"), _LLM),
    ),
    "cache_accounting": (
        CLAUDE.on("cache_read_tokens", claude_code.excludes_cache, _LLM),
        ANY.by("input_tokens", usage.cache_accounting, _LLM),
    ),
    "cost": (
        OPENINFERENCE.at("llm.cost.total", money),
        LANGFUSE.at("langfuse.observation.cost_details", member(money, "total")),
        MLFLOW.at("mlflow.llm.cost", member(money, "total_cost")),
        LOGFIRE.at("operation.cost", money),
        PYDANTIC.at("operation.cost", money),
        CLAUDE.event("claude_code.api_request", "cost_usd", money, SpanKind.LLM),
    ),
    "finish_reason": (
        OTEL.at("gen_ai.response.finish_reasons", folding.finish_reason),
        OTEL.event("gen_ai.choice", "finish_reason", folding.finish_reason),
        OTEL.at("gen_ai.output.messages", gen_ai.finish_reason, _LLM),
        OTEL.event(_DETAILS, "gen_ai.output.messages", gen_ai.finish_reason, _LLM),
        OPENINFERENCE.at("llm.finish_reason", folding.finish_reason),
        TRACELOOP.at("gen_ai.response.finish_reason", folding.finish_reason),
        TRACELOOP.at("gen_ai.response.stop_reason", folding.finish_reason),
        TRACELOOP.at("gen_ai.completion.0.finish_reason", folding.finish_reason),
        TRACELOOP.at("llm.response.finish_reason", folding.finish_reason),
        TRACELOOP.at("llm.response.stop_reason", folding.finish_reason),
        VERCEL.at("ai.response.finishReason", folding.finish_reason),
        VERCEL.at("ai.finishReason", folding.finish_reason),
        LANGFUSE.at("langfuse.observation.metadata.finish_reason", folding.finish_reason),
        MLFLOW.at("mlflow.spanOutputs", gen_ai.finish_reason, _LLM),
        ADK.at("gcp.vertex.agent.llm_response", google_adk.finish_reason, _LLM),
        claude_code.bare("stop_reason", folding.finish_reason, _LLM),
    ),
    "retry_attempt": (
        PYDANTIC.at("pydantic_ai.tool.retry.attempt", count),
        PYDANTIC.at("pydantic_ai.output.retry.attempt", count),
        PYDANTIC.at("pydantic_ai.model_request.attempt", count),
        claude_code.bare("attempt", count, _LLM),
        ANY.at("http.request.resend_count", count),
    ),
    "first_token_ms": (
        OTEL.at("gen_ai.response.time_to_first_chunk", seconds),
        STRANDS.at("gen_ai.server.time_to_first_token", milliseconds),
        VERCEL.at("ai.response.msToFirstChunk", milliseconds),
        claude_code.bare("ttft_ms", milliseconds, _LLM),
    ),
}
