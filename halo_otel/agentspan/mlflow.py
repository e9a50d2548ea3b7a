"""MLflow: `mlflow.*`, every value JSON, so that a name stands in quotes."""

from typing import Any, Final

from halo_otel.agentspan import folding, messages
from halo_otel.agentspan.source import Dialect
from halo_otel.agentspan.values import json_label, unquoted
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="mlflow",
    markers=frozenset({"mlflow.spanType", "mlflow.traceRequestId", "mlflow.spanInputs"}),
)

_KINDS: Final = {
    "AGENT": SpanKind.AGENT,
    "LLM": SpanKind.LLM,
    "CHAT_MODEL": SpanKind.LLM,
    "TOOL": SpanKind.TOOL,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RETRIEVER,
    "EMBEDDING": SpanKind.EMBEDDING,
    "CHAIN": SpanKind.CHAIN,
    "WORKFLOW": SpanKind.CHAIN,
    "TASK": SpanKind.CHAIN,
    "PARSER": SpanKind.CHAIN,
    "GUARDRAIL": SpanKind.GUARDRAIL,
    "EVALUATOR": SpanKind.EVALUATOR,
    "MEMORY": SpanKind.MEMORY,
}


def kind(value: Any) -> SpanKind | None:
    """The stated kind; `UNKNOWN` and home-made ones state none of ours."""
    stated = json_label(value)
    return None if stated is None else _KINDS.get(stated.upper())


def given(value: Any) -> str | None:
    """What was asked."""
    return messages.given(unquoted(value))


def answered(value: Any) -> str | None:
    """What was answered."""
    return messages.answered(unquoted(value))


def provider(value: Any) -> str | None:
    """The provider, in OTel's spelling."""
    return folding.provider(unquoted(value))
