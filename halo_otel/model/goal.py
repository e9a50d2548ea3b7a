"""The goal tree: a trace as the run a person remembers, at least four levels deep.

0 session goal ─ 1 run ─ 2 sub-goal ─ 3 step (one model turn and its calls) ─ 4 operation ─ 5 nested
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from halo_otel.model.facts import SpanKind
from halo_otel.model.span import SpanId, TraceId


class Level(IntEnum):
    """How far below the session's goal a node stands."""

    SESSION = 0
    RUN = 1
    SUBGOAL = 2
    STEP = 3
    OPERATION = 4
    NESTED = 5


class Verdict(StrEnum):
    """A local judgement; `RECOVERED` is a fault that a later step made good."""

    OK = "ok"
    SUSPECT = "suspect"
    BAD = "bad"
    RECOVERED = "recovered"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalNode:
    """One goal. `index` is its place in the tree's depth-first order, `parent` the parent's or -1.

    `span_id` and `kind` are those of the span the node stands for, `""` and None for a node made up to
    keep the levels whole; `tool` is what it called, as the telemetry names it. Tokens and cost (USD)
    are summed over what is below, counted once; `correctness`, `latency` and `resources` are local
    verdicts with the children's merged in. A sub-goal is `parallel` if it overlaps one beside it.
    `shift_ns` was added to the span's times, because its clock disagrees with that of its parent.
    """

    index: int
    parent: int
    level: Level
    name: str
    agent: str | None
    trace_id: TraceId
    span_id: SpanId
    start_ns: int
    end_ns: int
    tokens: int | None
    correctness: Verdict
    latency: Verdict
    resources: Verdict
    kind: SpanKind | None = None
    tool: str | None = None
    cost: float | None = None
    parallel: bool = False
    shift_ns: int = 0
