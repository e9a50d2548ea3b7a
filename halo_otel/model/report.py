"""One analysis, whole: what was looked at, how well it could be seen, what was found."""

from dataclasses import dataclass, field

from halo_otel.model.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSummary:
    """What an analysis looked at; times are arrival times in Unix nanoseconds."""

    start_ns: int
    end_ns: int
    traces: int
    spans: int
    services: tuple[str, ...]
    settled: int  # traces judged
    late: int  # spans that arrived after their trace was judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """A detector that could not judge, and why."""

    detector: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of the window could be judged; shares are in 0..1."""

    payload_captured: float
    outcome_known: float
    detectors_abstained: tuple[Abstention, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the model tier spent; all zero without one."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    claims_checked: int = 0
    claims_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one analysis, findings sorted by priority, highest first."""

    window: WindowSummary
    coverage: Coverage
    findings: tuple[Finding, ...]
    usage: Usage = field(default_factory=Usage)
