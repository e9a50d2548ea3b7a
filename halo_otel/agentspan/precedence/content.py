"""What was given and answered, and what the model was told beside it."""

from collections.abc import Mapping
from typing import Final

from halo_otel.agentspan import (
    claude_code,
    definitions,
    documents,
    evaluation,
    fallback,
    google_adk,
    langsmith,
    logfire,
    messages,
    mlflow,
    openinference,
    openllmetry,
    pydantic_ai,
    smolagents,
    vercel_ai,
)
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
    SMOLAGENTS,
    STRANDS,
    TRACELOOP,
    VERCEL,
)
from halo_otel.agentspan.precedence.tool import RESULT
from halo_otel.agentspan.source import Source
from halo_otel.agentspan.unknown import reasons, whole
from halo_otel.agentspan.values import json_label, json_payload, label, member, payload
from halo_otel.model.facts import SpanKind

_AGENT: Final = SpanKind.AGENT
_TOOL: Final = SpanKind.TOOL
_LLM: Final = SpanKind.LLM
_RETRIEVER: Final = SpanKind.RETRIEVER
_EVALUATOR: Final = SpanKind.EVALUATOR
_DETAILS: Final = "gen_ai.client.inference.operation.details"

_INPUT: Final[tuple[Source, ...]] = (
    OTEL.at("gen_ai.tool.call.arguments", payload, _TOOL),
    OTEL.at("gen_ai.input.messages", messages.given),
    ANY.by("tool_arguments", fallback.tool_arguments, _TOOL),
    OTEL.event(_DETAILS, "gen_ai.input.messages", messages.given),
    OTEL.event("gen_ai.tool.message", "content", payload, _TOOL),
    OTEL.event("gen_ai.user.message", "content", messages.content_text),
    OTEL.event("gen_ai.tool.message", "content", messages.content_text, _LLM),
    OTEL.event("gen_ai.content.prompt", "gen_ai.prompt", messages.given),
    OTEL.at("gen_ai.prompt", langsmith.given),
    OTEL.at("gen_ai.retrieval.query.text", payload),
    OPENINFERENCE.on("llm.input_messages.0.message.role", openinference.INPUT.given),
    TRACELOOP.on("gen_ai.prompt.0.role", openllmetry.INPUT.given),
    VERCEL.at("ai.prompt.messages", messages.given),
    VERCEL.at("ai.prompt", vercel_ai.prompt),
    VERCEL.at("ai.value", json_payload),
    PYDANTIC.at("pydantic_ai.all_messages", messages.given, _AGENT),
    PYDANTIC.at("all_messages_events", messages.given, _AGENT),
    PYDANTIC.at("events", messages.given, _LLM),
    LANGFUSE.at("langfuse.observation.input", mlflow.given),
    LANGFUSE.at("langfuse.trace.input", mlflow.given),
    MLFLOW.at("mlflow.spanInputs", mlflow.task, _AGENT),
    MLFLOW.at("mlflow.spanInputs", mlflow.given),
    ADK.at("gcp.vertex.agent.llm_request", google_adk.given),
    SMOLAGENTS.at("smolagents.task", payload, _AGENT),
    SMOLAGENTS.at("input.value", smolagents.task, _AGENT),
    LOGFIRE.at("request_data", logfire.request),
    LOGFIRE.at("input", messages.given, _LLM),
    LOGFIRE.at("raw_input", messages.given, _LLM),
    claude_code.bare("user_prompt", payload, _AGENT),
    CLAUDE.event("claude_code.user_prompt", "prompt", payload, _AGENT),
    claude_code.bare("new_context", payload, _AGENT, _LLM),
    OPENINFERENCE.at("llm.prompts.0.prompt.text", payload),
    OPENINFERENCE.at("input.value", smolagents.given),
    TRACELOOP.at("traceloop.entity.input", openllmetry.given),
)
_OUTPUT: Final[tuple[Source, ...]] = (
    ANY.by("tool_result", fallback.tool_result, _TOOL),
    OTEL.at("gen_ai.output.messages", messages.answered),
    OTEL.event(_DETAILS, "gen_ai.output.messages", messages.answered),
    OTEL.event("gen_ai.choice", "message", messages.message_text),
    OTEL.event("gen_ai.content.completion", "gen_ai.completion", messages.answered),
    OTEL.at("gen_ai.completion", langsmith.answered),
    OTEL.at("gen_ai.retrieval.documents", payload),
    OPENINFERENCE.on("llm.output_messages.0.message.role", openinference.OUTPUT.answered),
    TRACELOOP.on("gen_ai.completion.0.role", openllmetry.OUTPUT.answered),
    VERCEL.at("ai.response.text", payload),
    VERCEL.at("ai.response.object", payload),
    VERCEL.at("ai.response.toolCalls", messages.called),
    VERCEL.at("ai.result.text", payload),
    VERCEL.at("ai.result.object", payload),
    VERCEL.at("ai.result.toolCalls", messages.called),
    PYDANTIC.at("final_result", payload, _AGENT),
    PYDANTIC.at("events", pydantic_ai.choice, _LLM),
    LANGFUSE.at("langfuse.observation.output", mlflow.answered),
    LANGFUSE.at("langfuse.trace.output", mlflow.answered),
    MLFLOW.at("mlflow.spanOutputs", mlflow.answered),
    ADK.at("gcp.vertex.agent.llm_response", google_adk.answered),
    LOGFIRE.at("response_data", messages.answered),
    LOGFIRE.at("events", logfire.answered, _LLM),
    LOGFIRE.at("output", messages.answered, _LLM),
    claude_code.bare("response.model_output", payload, _LLM),
    OPENINFERENCE.at("llm.choices.0.completion.text", payload),
    OPENINFERENCE.at("output.value", payload),
    TRACELOOP.at("traceloop.entity.output", json_payload),
)
ROWS: Final[Mapping[str, tuple[Source, ...]]] = {
    "input_text": whole(_INPUT),
    "output_text": whole(_OUTPUT),
    "prompt_version": (
        OTEL.at("gen_ai.prompt.version", label),
        OPENINFERENCE.at("llm.prompt_template.version", label),
        TRACELOOP.at("traceloop.prompt.version", label),
        LANGFUSE.at("langfuse.observation.prompt.version", json_label),
        LANGSMITH.at("langsmith.metadata.lc_hub_commit_hash", label),
        VERCEL.at("ai.telemetry.metadata.langfusePrompt", member(label, "version")),
        MLFLOW.at("mlflow.linkedPrompts", mlflow.prompt_version),
        claude_code.bare("system_prompt_hash", label, _LLM),
    ),
    "system_instructions": (
        OTEL.at("gen_ai.system_instructions", messages.content_text),
        OTEL.event(_DETAILS, "gen_ai.system_instructions", messages.content_text),
        OTEL.event("gen_ai.system.message", "content", messages.content_text),
        OTEL.at("gen_ai.input.messages", messages.instructions),
        OTEL.event(_DETAILS, "gen_ai.input.messages", messages.instructions),
        OTEL.event("gen_ai.content.prompt", "gen_ai.prompt", messages.instructions),
        OTEL.at("gen_ai.prompt", messages.instructions),
        OPENINFERENCE.on("llm.input_messages.0.message.role", openinference.INPUT.instructions),
        TRACELOOP.on("gen_ai.prompt.0.role", openllmetry.INPUT.instructions),
        VERCEL.at("ai.prompt", vercel_ai.instructions),
        VERCEL.at("ai.prompt.messages", messages.instructions),
        PYDANTIC.at("pydantic_ai.all_messages", messages.instructions, _AGENT),
        PYDANTIC.at("all_messages_events", messages.instructions, _AGENT),
        PYDANTIC.at("events", messages.instructions, _LLM),
        LANGFUSE.at("langfuse.observation.input", messages.instructions, _LLM, _AGENT),
        MLFLOW.at("mlflow.spanInputs", messages.instructions, _LLM, _AGENT),
        ADK.at("gcp.vertex.agent.llm_request", google_adk.instructions, _LLM),
        LOGFIRE.at("request_data", messages.instructions, _LLM),
        LOGFIRE.at("input", messages.instructions, _LLM),
        LOGFIRE.at("raw_input", messages.instructions, _LLM),
    ),
    "tool_definitions": (
        OTEL.at("gen_ai.tool.definitions", payload),
        OTEL.event(_DETAILS, "gen_ai.tool.definitions", payload),
        OPENINFERENCE.on("llm.tools.0.tool.json_schema", openinference.tools),
        OPENINFERENCE.on("llm.tools.0.tool.name", openinference.tools),
        OPENINFERENCE.at("llm.invocation_parameters", definitions.inside("tools")),
        OPENINFERENCE.at("llm.invocation_parameters", definitions.inside("functions")),
        TRACELOOP.on("llm.request.functions.0.name", openllmetry.tools),
        VERCEL.at("ai.prompt.tools", definitions.definitions),
        PYDANTIC.at("model_request_parameters", definitions.definitions),
        LANGFUSE.at("langfuse.observation.input", definitions.inside("tools"), _LLM),
        LANGSMITH.at("gen_ai.prompt", definitions.inside("tools"), _LLM),
        MLFLOW.at("mlflow.chat.tools", definitions.definitions),
        MLFLOW.at("mlflow.spanInputs", definitions.inside("tools"), _LLM),
        ADK.at("gcp.vertex.agent.llm_request", google_adk.definitions, _LLM),
        STRANDS.at("gen_ai.agent.tools", definitions.definitions),
        SMOLAGENTS.at("smolagents.tools_names", definitions.definitions),
        LOGFIRE.at("tools", definitions.definitions, _AGENT),
        LOGFIRE.at("request_data", definitions.inside("tools"), _LLM),
        claude_code.bare("tools", definitions.definitions, _LLM),
    ),
    "retrieval_documents": (
        OTEL.at("gen_ai.retrieval.documents", payload),
        OPENINFERENCE.on(
            "retrieval.documents.0.document.content", documents.flattened("retrieval.documents")
        ),
        OPENINFERENCE.on(
            "retrieval.documents.0.document.id", documents.flattened("retrieval.documents")
        ),
        OPENINFERENCE.on(
            "reranker.output_documents.0.document.content",
            documents.flattened("reranker.output_documents"),
        ),
        OPENINFERENCE.on(
            "reranker.output_documents.0.document.id",
            documents.flattened("reranker.output_documents"),
        ),
        ANY.by("event:db.query.result", documents.in_events("db.query.result")),
        ANY.by("event:db.search.result", documents.in_events("db.search.result")),
        LANGFUSE.at("langfuse.observation.output", documents.listed, _RETRIEVER),
        LANGSMITH.at("gen_ai.completion", documents.listed, _RETRIEVER),
        MLFLOW.at("mlflow.spanOutputs", documents.listed, _RETRIEVER),
        VERCEL.at("ai.ranking", documents.listed, _RETRIEVER),
        TRACELOOP.at("traceloop.entity.output", documents.listed, _RETRIEVER),
        OPENINFERENCE.at("output.value", documents.listed, _RETRIEVER),
    ),
    "evaluations": (
        OTEL.by(f"event:{evaluation.RESULT}", evaluation.of_events),
        OTEL.on("gen_ai.evaluation.name", evaluation.of_attributes),
        OPENINFERENCE.on(
            "evaluations.0.evaluation.name", evaluation.flattened("evaluations", "evaluation")
        ),
        OPENINFERENCE.on(
            "annotations.0.annotation.name", evaluation.flattened("annotations", "annotation")
        ),
        OPENINFERENCE.on("output.value", evaluation.answered("output.value"), _EVALUATOR),
        LANGFUSE.on(
            "langfuse.observation.output",
            evaluation.answered("langfuse.observation.output"),
            _EVALUATOR,
        ),
        MLFLOW.on("mlflow.spanOutputs", evaluation.answered("mlflow.spanOutputs"), _EVALUATOR),
        LOGFIRE.at("assertions", evaluation.named),
        LOGFIRE.at("scores", evaluation.named),
        LOGFIRE.at("labels", evaluation.named),
    ),
}

# What is read where a fact is unknown: why, and what is left of a text that was cut.
OTHERWISE: Final[Mapping[str, Mapping[str, tuple[Source, ...]]]] = {
    "input_text": {"input_unknown": reasons(_INPUT), "input_text": _INPUT},
    "output_text": {
        "output_unknown": reasons((*RESULT, *_OUTPUT)),
        "output_text": (*RESULT, *_OUTPUT),
    },
}
