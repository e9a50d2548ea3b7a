"""One claim about what systematically goes wrong, and what a human needs to check it.

The fields are those of the report contract `halo.report/v1`; what the JSON does not carry
(resource, times of evidence) is here for the emitter.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from halo_otel.model.span import Attributes, SpanId, TraceId

FINGERPRINT_VERSION: Final = "fpv1"
MODEL_TIER: Final = "model"  # `Finding.tier` of what only a model found

CATEGORIES: Final[tuple[str, ...]] = (
    "error",
    "loop",
    "retry_storm",
    "redundant_call",
    "unknown_tool",
    "invalid_arguments",
    "ungrounded_argument",
    "ignored_tool_error",
    "malformed_output",
    "refusal",
    "truncation",
    "context_growth",
    "no_progress",
    "step_limit",
    "premature_end",
    "cascade",
    "swallowed_error",
    "stale_data",
    "conflicting_write",
    "duplicate_work",
    "handoff_loop",
    "orphan_delegation",
    "waiting",
    "latency",
    "cost",
    "serial_calls",
    "regression",
    "cohort",
    "skipped_step",
    "data_exposure",
    "instrumentation",
)


class Severity(StrEnum):
    """How much a finding matters; ordered by `rank`, mapped to OTel's SeverityNumber."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"

    @property
    def number(self) -> int:
        """OTel SeverityNumber: INFO 9, WARN 13, ERROR 17, FATAL 21 (logs/data-model.md)."""
        return {"info": 9, "warn": 13, "error": 17, "fatal": 21}[self.value]


class Status(StrEnum):
    """Where a finding stands in its life."""

    NEW = "new"
    ONGOING = "ongoing"
    ESCALATING = "escalating"
    IMPROVING = "improving"
    REGRESSED = "regressed"
    RESOLVED = "resolved"
    MUTED = "muted"


class Role(StrEnum):
    """What an evidence span shows."""

    CAUSE = "cause"
    SYMPTOM = "symptom"
    CONTRAST = "contrast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a finding is about; `None` parts do not belong to its identity."""

    service: str | None = None
    agent: str | None = None
    tool: str | None = None
    model: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One span that lets a human check the claim."""

    trace_id: TraceId
    span_id: SpanId
    role: Role
    note: str
    time_ns: int  # end of the span: the Timestamp of an occurrence record
    resource: Attributes = field(default_factory=dict)  # the agent's Resource, copied on emission


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What a finding costs. Tokens, cost (USD) and seconds count the *extra* work only; seconds as far as somebody
    waited for it, on the critical path of the run."""

    traces_affected: int
    traces_exposed: int
    failed_traces_attributable: float = 0.0
    tokens_wasted: int = 0
    cost_wasted: float = 0.0
    seconds_wasted: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The measured size of the claim: `measure` = `value` with a 95 % interval."""

    measure: str
    value: float
    ci: tuple[float, float]
    p_adjusted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCause:
    """The span to blame first and why."""

    trace_id: TraceId
    span_id: SpanId
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a model says of a finding; each sentence was checked."""

    statement: str
    recommendation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of one analysis run, before the registry gives it a history."""

    fingerprint: str
    detector: str
    category: str
    title: str
    summary: str
    subject: Subject
    severity: Severity
    confidence: float
    impact: Impact
    effect: Effect
    traces: tuple[TraceId, ...]
    evidence: tuple[Evidence, ...]
    root_cause: RootCause | None
    recommendation: str
    priority: float
    tier: str = "deterministic"
    explanation: Explanation | None = None
    status: Status = Status.NEW
    first_seen_ns: int = 0
    last_seen_ns: int = 0
    windows_seen: int = 1

    @property
    def full_summary(self) -> str:
        """The summary and what a model says of it: what reports and records show."""
        if self.explanation is None:
            return self.summary
        return f"{self.summary} Looked at closely (checked): {self.explanation.statement}"

    @property
    def full_recommendation(self) -> str:
        """The recommendation and a model's."""
        if self.explanation is None:
            return self.recommendation
        return f"{self.recommendation} {self.explanation.recommendation}".strip()


def fingerprint(detector: str, subject: Subject, *scope: str) -> str:
    """Stable identity of a claim: what it says about whom, never when, how often or in which trace.

    sha256 over detector, subject and the claim's own scope keys (an error template, an operation),
    cut to 16 hex characters (64 bits) behind a version tag: a changed rule gets a new tag, so an id
    never changes its meaning.
    """
    identity = json.dumps(
        [
            detector,
            subject.service,
            subject.agent,
            subject.tool,
            subject.model,
            sorted(subject.attributes.items()),
            list(scope),
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return f"{FINGERPRINT_VERSION}:{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
