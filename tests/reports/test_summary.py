"""What stands at the top: what to act on, and what that saves."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from halo_otel.model.finding import Finding, Impact, Severity, Status
from halo_otel.model.report import Report
from halo_otel.reports.summary import TOP, summarize


def of(report: Report, findings: Sequence[Finding]) -> Report:
    return replace(report, findings=tuple(findings))


def test_warnings_come_before_notes_whatever_their_priority(report: Report) -> None:
    one = report.findings[0]
    order = [Severity.INFO, Severity.WARN, Severity.INFO, Severity.FATAL]
    summary = summarize(of(report, [replace(one, severity=severity) for severity in order]))
    assert [finding.severity for finding in summary.first] == [Severity.WARN, Severity.FATAL]
    assert summary.more == 2
    assert summary.headline.startswith("1 fatal fault, 1 warning and 2 notes open.")


def test_notes_alone_are_nothing_urgent(report: Report) -> None:
    notes = [replace(report.findings[0], severity=Severity.INFO)] * 5
    summary = summarize(of(report, notes))
    assert len(summary.first) == TOP
    assert summary.headline.startswith("Nothing urgent: 5 notes open.")


@pytest.mark.parametrize("status", [Status.MUTED, Status.RESOLVED])
def test_what_is_muted_or_resolved_is_not_to_be_fixed(report: Report, status: Status) -> None:
    summary = summarize(
        of(report, [replace(finding, status=status) for finding in report.findings])
    )
    assert (summary.first, summary.more) == ((), 0)
    assert summary.headline.startswith("Nothing to fix")


def test_savings_add_up_over_what_stands_first_only(report: Report) -> None:
    impact = Impact(traces_affected=1, traces_exposed=2, tokens_wasted=100, seconds_wasted=2.0)
    findings = [replace(report.findings[0], impact=impact)] * (TOP + 2)
    assert summarize(of(report, findings)).headline.endswith("saves up to 300 tokens, 6.0 s.")
    free = replace(report.findings[0], impact=Impact(traces_affected=1, traces_exposed=2))
    assert "saves" not in summarize(of(report, [free])).headline


@pytest.mark.parametrize(
    ("traces", "settled", "told"),
    [(5, 5, "Nothing to fix"), (5, 0, "Nothing is judged yet"), (0, 0, "Nothing to judge")],
)
def test_nothing_found_is_not_nothing_there(
    report: Report, traces: int, settled: int, told: str
) -> None:
    window = replace(report.window, traces=traces, settled=settled)
    assert summarize(replace(report, findings=(), window=window)).headline.startswith(told)
