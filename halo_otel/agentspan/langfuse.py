"""Langfuse: `langfuse.observation.*`; usage and costs are JSON, tools and agents are span names."""

from typing import Any, Final

from halo_otel.agentspan.source import Dialect, Reading
from halo_otel.agentspan.values import label
from halo_otel.model.facts import SpanKind

DIALECT: Final = Dialect(
    name="langfuse",
    markers=frozenset(
        {
            "langfuse.observation.type",
            "langfuse.observation.input",
            "langfuse.observation.output",
            "langfuse.observation.model.name",
            "langfuse.trace.name",
            "langfuse.session.id",
        }
    ),
    scopes=("langfuse-sdk",),
)

_KINDS: Final = {
    "agent": SpanKind.AGENT,
    "generation": SpanKind.LLM,
    "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER,
    "embedding": SpanKind.EMBEDDING,
    "chain": SpanKind.CHAIN,
    "guardrail": SpanKind.GUARDRAIL,
    "evaluator": SpanKind.EVALUATOR,
}


def kind(value: Any) -> SpanKind | None:
    """The stated kind; `span` and `event` are what Langfuse calls everything else."""
    stated = label(value)
    return None if stated is None else _KINDS.get(stated.lower())


def structure(value: Any) -> SpanKind | None:
    """A plain `span` is structure, where nothing else says what it is."""
    return SpanKind.CHAIN if value == "span" else None


def failed(value: Any) -> str | None:
    """`protocol` for an observation of level ERROR."""
    return "protocol" if value == "ERROR" else None


def status_message(reading: Reading) -> str | None:
    """The message of an observation that failed."""
    message = label(reading.span.attributes.get("langfuse.observation.status_message"))
    return message if "error_source" in reading.facts else None
