"""Two analyses side by side: what was fixed, what is new, what got better or worse."""

from dataclasses import dataclass
from enum import StrEnum

from halo_otel.model.finding import Effect, Finding, Severity
from halo_otel.model.report import WindowSummary


class Change(StrEnum):
    """What became of a finding or of a figure."""

    NEW = "new"
    WORSE = "worse"
    SAME = "same"
    BETTER = "better"
    FIXED = "fixed"  # not seen, though it would have been three times or more
    UNSEEN = "unseen"  # not seen, and too little traffic to say more


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """In how many of the traces that could show it a finding was seen."""

    affected: int
    exposed: int

    @property
    def rate(self) -> float:
        """Affected over exposed traces, 0..1."""
        return self.affected / max(1, self.exposed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingChange:
    """One finding before and after; `finding` is the later one where there is one.

    `effect` is the risk ratio, after over before. `sure`: luck explains it badly.
    """

    change: Change
    finding: Finding
    before: Sight
    after: Sight
    effect: Effect
    sure: bool

    @property
    def breaks(self) -> bool:
        """Whether it is a reason to stop a deployment: surely new or worse, and not mere information."""
        harmful = self.finding.severity is not Severity.INFO
        return harmful and self.sure and self.change in (Change.NEW, Change.WORSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slower:
    """The operation that made an agent's runs slower: a tool, a model, or what `agent` itself does.

    Mean seconds of a run that were spent waiting for it; `share` of what the runs take longer.
    """

    agent: str
    tool: str | None
    model: str | None
    before_s: float
    after_s: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """One figure of an agent's runs before and after.

    `before` and `after` are a rate in 0..1 or medians in `unit`; `effect` compares them. `slower` says why the
    duration got worse, where one operation is behind it.
    """

    change: Change
    name: str
    unit: str
    service: str
    agent: str
    before: float
    after: float
    runs_before: int
    runs_after: int
    effect: Effect
    slower: Slower | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All changes, the most important first."""

    before: WindowSummary
    after: WindowSummary
    findings: tuple[FindingChange, ...]
    metrics: tuple[MetricChange, ...]

    @property
    def regressed(self) -> bool:
        """Whether anything broke or got worse."""
        worse = any(metric.change is Change.WORSE for metric in self.metrics)
        return worse or any(change.breaks for change in self.findings)
