"""The goal tree: a trace as the run a person remembers, at least four levels deep.

0 session goal ─ 1 run ─ 2 sub-goal ─ 3 step (one model turn and its calls) ─ 4 operation ─ 5 nested
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

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

    `span_id` is the span the node stands for, `""` for a node made up to keep the levels whole.
    Tokens are summed over the model calls below; `correctness`, `latency` and `resources` are local
    verdicts with the children's merged in.
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
