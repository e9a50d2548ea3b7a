"""What a finding is worth against what was planted: a hit, an echo of it, or false."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from halo_otel.model.finding import Finding, Role, Severity
from tests.eval.scenario import Planted, Window

Worth = Literal["hit", "echo", "false"]

# Another category that tells a user the same: a hit, too. By fault.
EQUIVALENT: Final[Mapping[str, frozenset[str]]] = {
    "no_progress": frozenset({"loop"}),
    "loop_near": frozenset({"no_progress"}),
    "ignored_tool_error": frozenset({"premature_end"}),
    "premature_end": frozenset({"ignored_tool_error"}),
    "swallowed_error": frozenset({"ignored_tool_error"}),
    "stale_read": frozenset({"conflicting_write"}),
    "lost_update": frozenset({"stale_data"}),
    "personal_data": frozenset(),
    "costly_runs": frozenset({"context_growth"}),
    "huge_result": frozenset({"cost"}),
}
# Categories whose claim is about what several agents do: their subject may be any of them.
_BETWEEN_AGENTS: Final = frozenset(
    {
        "stale_data",
        "conflicting_write",
        "duplicate_work",
        "handoff_loop",
        "orphan_delegation",
        "waiting",
        "cascade",
    }
)
_CLAIMED_SHARE: Final = 0.5  # of a finding's traces that must be planted ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One finding of one window and its worth; `rank` is that of the first cause, from 1, or 0."""

    fault: str | None
    detector: str
    category: str
    severity: Severity
    confidence: float
    title: str
    worth: Worth
    rank: int = 0
    located: bool = False  # whether the truth names spans to blame

    @property
    def alarming(self) -> bool:
        """What the telemetry lacks is told as information: it is the operator's choice."""
        return self.severity is not Severity.INFO or self.category == "instrumentation"


def judge(finding: Finding, window: Window) -> Judged:
    """The worth of a finding.

    A hit names the category (or an equivalent) and the subject of a planted fault, and half of its
    traces have it. An echo is about the planted traces but calls it something else: neither right
    nor a false alarm, for a planted fault does have consequences.
    """
    worth: Worth = "false"
    rank, located = 0, False
    fault = window.planted[0].fault if window.planted else None
    for planted in window.planted:
        if not _same_traces(finding, planted):
            continue
        if names(planted, finding.category) and _same_subject(finding, planted):
            worth, rank = "hit", cause_rank(finding, planted)
            located = any(planted.causes.values())
            break
        worth = "echo"
    return Judged(
        fault=fault,
        detector=finding.detector,
        category=finding.category,
        severity=finding.severity,
        confidence=finding.confidence,
        title=finding.title,
        worth=worth,
        rank=rank,
        located=located,
    )


def names(planted: Planted, category: str) -> bool:
    """Whether `category` is that of the fault, or says the same."""
    return category == planted.category or category in EQUIVALENT.get(planted.fault, frozenset())


def cause_rank(finding: Finding, planted: Planted) -> int:
    """At which place, from 1, the first span to blame stands: the root cause, then the evidence; or 0."""
    named = [one for one in finding.evidence if one.role is not Role.CONTRAST]
    places = [(one.trace_id, one.span_id) for one in named]
    if finding.root_cause:
        places.insert(0, (finding.root_cause.trace_id, finding.root_cause.span_id))
    for rank, (trace, span) in enumerate(dict.fromkeys(places), 1):
        if span in planted.causes.get(trace, ()):
            return rank
    return 0


def _same_traces(finding: Finding, planted: Planted) -> bool:
    common = sum(trace in planted.causes for trace in finding.traces)
    return common > 0 and common >= _CLAIMED_SHARE * len(finding.traces)


def _same_subject(finding: Finding, planted: Planted) -> bool:
    subject = finding.subject
    if subject.service and subject.service != planted.service:
        return False
    if subject.tool and planted.tool:
        return subject.tool == planted.tool
    if not subject.agent or not planted.agent or finding.category in _BETWEEN_AGENTS:
        return True
    return subject.agent == planted.agent


def brier(judged: Sequence[Judged]) -> float:
    """Mean squared difference of confidence and truth (Brier 1950); echoes are left out."""
    told = [(one.confidence, one.worth == "hit") for one in judged if one.worth != "echo"]
    return sum((said - true) ** 2 for said, true in told) / max(1, len(told))


def calibration(judged: Sequence[Judged], bins: int = 10) -> list[tuple[float, float, int]]:
    """Per bin of confidence: mean confidence, share that is true, number; echoes are left out."""
    filled: list[list[Judged]] = [[] for _ in range(bins)]
    for one in judged:
        if one.worth != "echo":
            filled[min(bins - 1, int(one.confidence * bins))].append(one)
    return [
        (
            sum(one.confidence for one in some) / len(some),
            sum(one.worth == "hit" for one in some) / len(some),
            len(some),
        )
        for some in filled
        if some
    ]


def ece(judged: Sequence[Judged]) -> float:
    """Expected calibration error over ten bins (Naeini et al. 2015)."""
    bins = calibration(judged)
    total = sum(count for _, _, count in bins)
    return sum(abs(said - true) * count for said, true, count in bins) / max(1, total)


def wilson(hits: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if not trials:
        return (0.0, 1.0)
    share, spread = hits / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / trials + spread / (4 * trials)) ** 0.5
    return (max(0.0, middle - half), min(1.0, middle + half))
