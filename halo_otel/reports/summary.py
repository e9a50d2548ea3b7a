"""What to fix first, and what that would save: the top of every report for people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from halo_otel.model.finding import Finding, Impact, Severity, Status
from halo_otel.model.report import Report
from halo_otel.reports.words import listed, share, waste, wasted

TOP: Final = 3  # findings named at the top; a reader acts on a few at a time
_NAMES: Final = {
    Severity.FATAL: ("fatal fault", "fatal faults"),
    Severity.ERROR: ("error", "errors"),
    Severity.WARN: ("warning", "warnings"),
    Severity.INFO: ("note", "notes"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """`headline` is one sentence without any text from traces; `first` are the findings to act on, the most
    important one first; `more` counts the other open ones."""

    headline: str
    first: tuple[Finding, ...]
    more: int


def summarize(report: Report) -> Summary:
    """Of a report's findings, most important first, those that are open: warnings and worse ones before notes."""
    open_ = [f for f in report.findings if f.status not in (Status.RESOLVED, Status.MUTED)]
    if not open_:
        return Summary(headline=_nothing(report), first=(), more=0)
    urgent = [finding for finding in open_ if finding.severity is not Severity.INFO]
    first = tuple((urgent or open_)[:TOP])
    found = f"{_counted(open_)} open." if urgent else f"Nothing urgent: {_counted(open_)} open."
    saves = wasted(_together(first))
    gain = f" Mending what stands first saves up to {saves}." if saves else ""
    return Summary(headline=found + gain, first=first, more=len(open_) - len(first))


def _nothing(report: Report) -> str:
    """No finding is open; but nothing found is not nothing there when nothing was judged."""
    if report.window.settled or report.findings:
        return "Nothing to fix: no finding is open."
    if report.window.traces:
        return (
            "Nothing is judged yet: a trace is, once nothing more has come of it for"
            " analysis.trace_settle."
        )
    return "Nothing to judge: no trace has come."


def figures(finding: Finding) -> str:
    """How bad a finding is and what mending it saves, in half a line."""
    return f"{finding.severity.value}, {share(finding.impact)}; {waste(finding.impact)}"


def _counted(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    return listed([f"{counts[s]} {_NAMES[s][counts[s] > 1]}" for s in _NAMES if counts[s]])


def _together(findings: Sequence[Finding]) -> Impact:
    """An upper bound: two findings may explain the same failure or the same waste."""
    impacts = [finding.impact for finding in findings]
    return Impact(
        traces_affected=0,
        traces_exposed=0,
        failed_traces_attributable=sum(impact.failed_traces_attributable for impact in impacts),
        tokens_wasted=sum(impact.tokens_wasted for impact in impacts),
        cost_wasted=sum(impact.cost_wasted for impact in impacts),
        seconds_wasted=sum(impact.seconds_wasted for impact in impacts),
    )
