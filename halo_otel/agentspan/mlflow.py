"""MLflow: `mlflow.*`, every value JSON, so that a name stands in quotes."""

from typing import Any, Final

from halo_otel.agentspan import folding, messages
from halo_otel.agentspan.source import Dialect
from halo_otel.agentspan.values import decoded, json_label, label, payload, unquoted
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="mlflow",
    markers=frozenset({"mlflow.spanType", "mlflow.traceRequestId", "mlflow.spanInputs"}),
    scopes=("mlflow.tracing.",),  # with MLFLOW_ENABLE_OTEL_GENAI_SEMCONV only OTel's keys are left
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


def task(value: Any) -> str | None:
    """The text that an agent's function was called with, if that was all."""
    called = decoded(unquoted(value))
    if not isinstance(called, dict) or len(called) != 1:
        return None
    (asked,) = called.values()
    return payload(asked) if isinstance(asked, str) else None


def answered(value: Any) -> str | None:
    """What was answered."""
    return messages.answered(unquoted(value))


def prompt_version(value: Any) -> str | None:
    """Name and version of the prompt that is linked, of several the last."""
    found = decoded(value)
    last = found[-1] if isinstance(found, list) and found else None
    if not isinstance(last, dict) or (version := label(last.get("version"))) is None:
        return None
    name = label(last.get("name"))
    return f"{name}/{version}" if name else version


def provider(value: Any) -> str | None:
    """The provider, in OTel's spelling."""
    return folding.provider(unquoted(value))
