"""Offline analysis of a list of spans, the way `halo-otel analyze FILE` does it."""

from collections.abc import Iterable

from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import Run, extend
from halo_otel.config.sections import Analysis
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.finding import Finding, Severity
from halo_otel.model.report import Report
from halo_otel.model.span import Span
from halo_otel.window.single import SingleWindow

SPANS_PER_BATCH = 10_000


def analysed(spans: Iterable[Span], settings: Analysis | None = None) -> Report:
    """The report on `spans`, taken to have arrived when they ended; every trace is settled."""
    return run_over(spans, settings).report


def judged(spans: Iterable[Span]) -> list[Judgement]:
    """The judgements of a list of spans, taken as one window, before they meet in the reduce."""
    return list(run_over(spans).judged)


def run_over(spans: Iterable[Span], settings: Analysis | None = None) -> Run:
    """One analysis of `spans`: the judgements and the report."""
    builder, last_ns = RowBuilder(), 0
    with SingleWindow(None) as window:
        for position, span in enumerate(spans):
            builder.add_span(span, span.end_ns, position)
            last_ns = max(last_ns, span.end_ns)
            if builder.size >= SPANS_PER_BATCH:
                window.insert(builder.batch())
                builder = RowBuilder()
        window.insert(builder.batch())
        with window.view() as view:
            options = settings or Analysis()
            return extend(Lookback(), view, settings=options, until_ns=last_ns + 1, offline=True)


def alarms(report: Report) -> list[Finding]:
    """The findings that would wake somebody up."""
    return [one for one in report.findings if one.severity is not Severity.INFO]
