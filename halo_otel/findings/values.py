"""The values that go in and out of the registry."""

from dataclasses import dataclass
from enum import StrEnum

from halo_otel.model.finding import Severity, Status, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One analysis run: the arrival times `[start_ns, end_ns)` it looked at, why, how long it took."""

    start_ns: int
    end_ns: int
    trigger: str  # "window", "demand", "early", "model"
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recorded run."""

    run_id: int
    replica: str
    recorded_ns: int
    info: RunInfo
    traces: int
    judged: int
    spans: int
    late: int
    findings: int
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of one finding from a status to another; `before` is `None` at its birth.

    `seq` grows without gaps being reused, in the order of commits, over all replicas.
    """

    seq: int
    fingerprint: str
    before: Status | None
    after: Status
    at_ns: int
    run_id: int | None = None  # None: a person muted or unmuted it
    reason: str = ""  # the person's


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which findings to list; empty parts do not restrict. Highest priority comes first."""

    statuses: tuple[Status, ...] = ()
    severity: Severity | None = None
    category: str | None = None
    service: str | None = None
    fingerprint_prefix: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What one window saw of one service."""

    window_start_ns: int
    service: str
    traces: int
    spans: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedClaim:
    """A claim that a model made and that did not hold; all its texts are strangers'.

    `cluster` is the group of runs it was about, a finding's fingerprint if one names them. `asked` is the
    model's name. `statement` is empty if the claim could not be read.
    """

    at_ns: int
    reason: str  # a word of `recursion.claims.Reason`
    why: str
    statement: str
    subject: Subject
    cluster: str | None
    asked: str


class SignalKind(StrEnum):
    """Which OTLP service a waiting record goes to."""

    LOG = "log"
    SPAN = "span"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One record waiting for the Collector: `payload` is one OTLP/JSON ResourceLogs or ResourceSpans."""

    record_id: int
    kind: SignalKind
    payload: str
    attempts: int
