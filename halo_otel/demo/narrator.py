"""The demo's words: what a person reads while it runs and at its end."""

import json
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from halo_otel.clock import rfc3339
from halo_otel.demo.faults import Label
from halo_otel.demo.returned import Returned
from halo_otel.model.finding import Finding, Severity
from halo_otel.model.report import Report
from halo_otel.model.span import LogRecord
from halo_otel.reports.words import share, waste

PLAIN_WIDTH: Final = 110
SHOWN_MAX: Final = 16  # findings told in full; with more nobody reads to the end
EVIDENCE_SHOWN: Final = 2
VALUE_CHARS_MAX: Final = 160
STYLES: Final = {
    Severity.INFO: "cyan",
    Severity.WARN: "yellow",
    Severity.ERROR: "bold red",
    Severity.FATAL: "bold white on red",
}
EXPORTER_BLOCK: Final = """\
    exporters:
      otlp_grpc/halo:
        endpoint: localhost:14317
        tls: {insecure: true}
    service:
      pipelines:
        traces/halo: {receivers: [otlp], exporters: [otlp_grpc/halo]}"""


class Narrator:
    """Writes to standard output; `quiet` leaves the progress out, not the results."""

    def __init__(self, *, quiet: bool) -> None:
        width = None if sys.stdout.isatty() else PLAIN_WIDTH
        self._console = Console(markup=False, emoji=False, highlight=False, width=width)
        self._quiet = quiet

    def step(self, text: str) -> None:
        """One line about what happens now."""
        if not self._quiet:
            self._console.print(f"· {safe(text)}")

    def progress(self) -> Progress:
        """A bar over what is sent; it shows on a terminal only."""
        return Progress(
            TextColumn("· {task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=self._quiet or not self._console.is_terminal,
            transient=True,
        )

    def findings(self, findings: Sequence[Finding], report: Report) -> None:
        """Every finding as somebody who has to act on it reads it."""
        window = report.window
        self._title(f"What goes wrong: {len(findings)} findings")
        self._line(
            f"{window.traces:,} traces and {window.spans:,} spans of {len(window.services)} services, "
            f"{rfc3339(window.start_ns)} to {rfc3339(window.end_ns)}"
        )
        for number, finding in enumerate(findings[:SHOWN_MAX], start=1):
            self._finding(number, finding)
        if len(findings) > SHOWN_MAX:
            self._line(f"… and {len(findings) - SHOWN_MAX} more")

    def _finding(self, number: int, finding: Finding) -> None:
        text = Text(f"\n{number:>2} ")
        text.append(f"{finding.severity.value:<5} ", style=STYLES[finding.severity])
        text.append(safe(finding.title), style="bold")
        self._console.print(text)
        since = rfc3339(finding.first_seen_ns)[11:19]
        self._line(
            f"   {finding.category}, {finding.status.value} since {since}, confidence "
            f"{finding.confidence:.2f}: {share(finding.impact)}; {waste(finding.impact)}"
        )
        self._line(f"   do: {finding.full_recommendation}")
        spans = {(one.trace_id, one.span_id) for one in finding.evidence}
        self._line(
            f"   evidence: {len(spans)} spans in {len({trace for trace, _ in spans})} traces, first",
            style="dim",
        )
        for one in finding.evidence[:EVIDENCE_SHOWN]:
            self._line(
                f"     trace {one.trace_id} span {one.span_id} ({one.role.value}) {one.note}",
                style="dim",
            )

    def returned(self, returned: Returned, where: str) -> None:
        """What came back over OTLP, with one log record shown whole."""
        links = sum(len(span.links) for span in returned.spans)
        events = sum(len(span.events) for span in returned.spans)
        self._title(f"What came back to {where} as OpenTelemetry data")
        self._line(
            f"{len(returned.findings)} log records about patterns ({len(returned.fingerprints)} "
            f"findings), {len(returned.occurrences)} inside the agents' own traces"
        )
        self._line(
            f"{len(returned.spans)} analysis spans with {links} links to evidence and {events} span "
            f"events, {len(returned.metrics)} metrics"
        )
        shown = returned.occurrences or returned.findings
        if shown:
            self._line("one log record, whole:")
            self._record(max(shown, key=lambda record: record.severity_number))

    def _record(self, record: LogRecord) -> None:
        fields = {
            "Timestamp": rfc3339(record.time_ns),
            "SeverityText": f"{record.severity_text} ({record.severity_number})",
            "EventName": record.event_name,
            "TraceId": record.trace_id,
            "SpanId": record.span_id,
            "Body": record.body,
            "Scope": f"{record.scope.name} {record.scope.version}",
        }
        for key, value in fields.items():
            self._line(f"   {key:<13}{_short(value)}", style="dim")
        for title, attributes in (
            ("Resource", record.resource.attributes),
            ("Attributes", record.attributes),
        ):
            self._line(f"   {title}", style="dim")
            for key, value in sorted(attributes.items()):
                self._line(f"     {key} = {_short(value)}", style="dim")

    def planted(self, labels: Sequence[Label], findings: Sequence[Finding]) -> None:
        """Which planted faults were found, and under which number they are told above."""
        told = [
            next((n for n, one in enumerate(findings, start=1) if label.told_by(one)), None)
            for label in labels
        ]
        found = sum(number is not None for number in told)
        self._title(f"Planted on purpose: {len(labels)} faults, found {found}")
        for label, number in zip(labels, told, strict=True):
            fault = label.fault
            line = Text(" ✓ ", style="green") if number else Text(" ✗ ", style="red")
            kind = fault.kind.value.replace("_", " ")
            end = f"finding {number}" if number else "not found"
            line.append(
                f"{kind} in {fault.service}, {fault.agent}/{fault.tool}, "
                f"{len(label.trace_ids)} runs: {end}",
                style="default",
            )
            self._console.print(line)

    def healthy(self, service: str, runs: int, alarms: Sequence[Finding]) -> None:
        """How silent the healthy application stayed."""
        self._title(f"Left healthy: {service}")
        if alarms:
            self._line(f"{len(alarms)} false alarms in {runs} runs: {alarms[0].title}")
            return
        self._line(
            f"{runs} runs with polling, paging, searches in vain, retries that work and a heartbeat: "
            "no finding of severity warn or above"
        )

    def ending(self, directory: str | None, trace_id: str | None, seconds: float) -> None:
        """What to run next."""
        self._title("Next")
        if directory is None:
            self._line("Look around in this data: halo-otel demo --keep")
        else:
            config = f"--config {directory}/halo.yaml"
            self._line("The demo's data is kept; look around in it:")
            self._line(f"    halo-otel serve {config} &")
            self._line(f"    halo-otel findings {config}")
            self._line(f"    halo-otel tree {trace_id or 'TRACE_ID'} {config}")
        self._line("Your own traces, from a file:")
        self._line("    halo-otel analyze traces.jsonl")
        self._line("Your own traces, live: run `halo-otel serve`, add this to your Collector,")
        self._console.print(EXPORTER_BLOCK, style="cyan")
        self._line("and ask with `halo-otel findings` and `halo-otel tree TRACE_ID`.")
        self.step(f"done in {seconds:.0f} s")

    def trouble(self, text: str) -> None:
        """Why the demo cannot go on."""
        for line in text.splitlines():
            self._line(line, style="red")

    def _title(self, text: str) -> None:
        self._console.print()
        self._console.print(safe(text), style="bold underline")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(safe(text), style=style, soft_wrap=True)


def safe(text: str) -> str:
    """`text` on one line without anything a terminal obeys: traces are written by strangers."""
    return "".join(
        c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"
