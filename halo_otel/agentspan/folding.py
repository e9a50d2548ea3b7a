"""Many spellings of one thing to one: providers and finish reasons.

Sources: conventions.md §4 (provider enum of OTel gen_ai 1.42, older and OpenInference values) and §5
(finish reasons of the message schema and of the model APIs).
"""

import re
from typing import Any, Final

from halo_otel.agentspan.values import label

_PROVIDERS: Final = {
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "xai": "x_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "amazon-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "azure-openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "google.generative-ai": "gcp.gemini",
    "google_genai": "gcp.gen_ai",
    "google.vertex": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
}
# The Vercel AI SDK names the API beside the provider: `openai.chat`, `anthropic.messages`.
_API: Final = re.compile(
    r"\.(?:chat|responses|messages|completions?|embeddings?|textEmbedding|image)$", re.IGNORECASE
)
# Frameworks that name themselves where the provider of the model belongs.
_NOT_PROVIDERS: Final = frozenset(
    {"strands-agents", "langchain", "llamaindex", "llama_index", "gcp.vertex.agent"}
)

_FINISH_REASONS: Final = {
    "tool_calls": "tool_call",
    "tool-calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "content-filter": "content_filter",
    "safety": "content_filter",
    "failed": "error",
}


def provider(value: Any) -> str | None:
    """The provider in OTel's current spelling."""
    known = label(value)
    if known is None:
        return None
    known = known.lower()
    if "." in known:
        known = _API.sub("", known)
    return None if known in _NOT_PROVIDERS else _PROVIDERS.get(known, known)


def finish_reason(value: Any) -> str | None:
    """`stop`, `length`, `content_filter`, `tool_call`, `error`, or what else is stated, in lower case.

    Of the reasons of several choices the first one counts.
    """
    if isinstance(value, list):
        value = value[0] if value else None
    known = label(value)
    if known is None:
        return None
    known = known.lower()
    return _FINISH_REASONS.get(known, known)
