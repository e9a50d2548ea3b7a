"""What the control API is made of; the engine composes it, this room serves it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from halo_otel.model.goal import GoalNode
from halo_otel.model.report import Report
from halo_otel.model.span import TraceId
from halo_otel.selfobs import Reading
from halo_otel.window import WindowInfo

if TYPE_CHECKING:  # the client imports this module, and it needs no database
    from halo_otel.findings.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """One trace in one line, as far as it lies in the window; times are Unix nanoseconds."""

    trace_id: TraceId
    service: str
    name: str  # of the root span, or of the earliest one
    agent: str | None
    start_ns: int
    end_ns: int
    spans: int
    failed_spans: int
    tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How the service is doing."""

    version: str
    ready: bool
    lag_s: float  # age of the oldest accepted request that no window holds yet
    backlog_bytes: int  # accepted and in no window yet
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the answers come from. All but `analyze` block and are called in a thread.

    `tree` and `session_tree` give nothing for what they do not know. `traces` takes a window's start and how
    many are wanted.
    `analyze` runs an analysis now; concurrent calls may share one run.
    """

    registry: "Registry"
    windows: Callable[[], Sequence[WindowInfo]]
    traces: Callable[[int, int], Sequence[TraceSummary]]
    tree: Callable[[TraceId], Sequence[GoalNode]]
    session_tree: Callable[[str], Sequence[GoalNode]]
    analyze: Callable[[], Awaitable[Report]]
    report: Callable[[], Report | None]
    status: Callable[[], ServiceStatus]
