"""Agent facts: what a span says about an agent's run, in one vocabulary for every dialect.

`None` always means *unknown*: not captured, redacted, or not applicable. Unknown is never equal to
anything, so a detector that needs a fact abstains where it is `None`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class SpanKind(StrEnum):
    """What a span does for the agent (not OTLP's `Span.kind`)."""

    AGENT = "agent"
    LLM = "llm"
    TOOL = "tool"
    RETRIEVER = "retriever"
    EMBEDDING = "embedding"
    CHAIN = "chain"  # a workflow, a task, a step: structure around other spans
    GUARDRAIL = "guardrail"
    EVALUATOR = "evaluator"
    MEMORY = "memory"
    OTHER = "other"  # no agent telemetry: an HTTP client, a database


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One score that somebody gave a span: a human, an evaluator, a check."""

    name: str
    score: float | None = None
    label: str | None = None  # "pass", "fail", "relevant"
    explanation: str | None = None


@dataclass(frozen=True, kw_only=True)
class AgentFacts:
    """The facts of one span.

    `sources` names, for each fact that is known, the attribute key (or `event:<name>`,
    `name`, `status`) it was read from, so that a finding can cite it.

    Of its many fields a span fills a dozen; without slots the others are the class's own defaults,
    and `of` costs a tenth of the constructor.
    """

    kind: SpanKind = SpanKind.OTHER
    dialects: tuple[str, ...] = ()
    agent_name: str | None = None
    agent_id: str | None = None
    agent_version: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    provider: str | None = None
    model_requested: str | None = None
    model_served: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None  # USD, as the telemetry states it or by a table of prices
    system_instructions: str | None = None  # what the model or agent is told to be, as recorded
    tool_name: str | None = None
    tool_call_id: str | None = None
    tool_arguments: str | None = None  # JSON or plain text, as it was recorded; whole
    tool_result: str | None = None
    input_text: str | None = None  # what the model or agent was given, as recorded, even if cut
    output_text: str | None = None  # what it answered
    finish_reason: str | None = None
    error_type: str | None = None  # exception.type, error.type; None without an error
    error_message: str | None = None
    error_source: str | None = None  # "status" | "exception" | "tool_result" | "protocol"
    prompt_version: str | None = None
    workflow: str | None = None  # the graph or workflow that the agents run in
    tool_definitions: str | None = None  # the tools offered, as OTel's JSON list `{type, name, …}`
    handoff_target: str | None = None  # the agent that is handed over to
    retry_attempt: int | None = None  # as the framework counts its attempts at one thing
    first_token_ms: float | None = None  # from the request to the first piece of the answer
    cache_accounting: str | None = None  # cached tokens "inside" input_tokens or "beside" them
    retrieval_documents: str | None = None  # what a retriever found, JSON as recorded
    evaluations: tuple[Evaluation, ...] | None = None
    # Why a payload that stands there is unknown: "redacted" | "truncated" | "empty". Of a truncated
    # input or output the text that is there is kept, to be read and not to be compared.
    arguments_unknown: str | None = None
    result_unknown: str | None = None
    input_unknown: str | None = None
    output_unknown: str | None = None
    superseded: bool | None = None  # a placeholder that a later span repeats; it has no other facts
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, known: dict[str, Any]) -> "AgentFacts":
        """The facts whose values are `known`, by field; it becomes theirs. `sources` must be there."""
        facts = object.__new__(cls)
        object.__setattr__(facts, "__dict__", known)
        return facts

    @property
    def failed(self) -> bool:
        """Whether the span's own telemetry says it failed."""
        return self.error_source is not None
