"""A report for people: what to fix first and what that saves, then every finding with its evidence."""

import re
from collections.abc import Iterable
from typing import Final

from halo_otel.model.finding import Effect, Evidence, Finding
from halo_otel.model.report import Report
from halo_otel.reports import words
from halo_otel.reports.summary import Summary, figures, summarize
from halo_otel.reports.words import about, clip, moment, number, percent, share, wasted

EVIDENCE_MAX: Final = 10  # evidence lines per finding; the JSON has them all

_MARKS: Final = re.compile(r"([\\`*_\[\]|~$!])")  # mean something in the middle of a line
_START: Final = re.compile(r"^([0-9]{1,9}(?=[.)](?: |$))|)(?=[#+=.)-])")  # begins a block
# GitHub makes links of bare addresses (GFM §6.9) unless their punctuation is escaped.
_LINKS: Final = re.compile(r"(?i)(?<=[a-z])://|(?<=\bwww)\.|(?<=\bmailto):|(?<=\bxmpp):")
_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str) -> str:
    """One line of Markdown that shows `text` and does nothing else, also inside raw HTML."""
    line = _MARKS.sub(r"\\\1", words.line(text))
    line = _START.sub(r"\1\\", line)
    line = _LINKS.sub(lambda match: "\\" + match[0], line)
    line = "".join(_HTML.get(c, c) for c in line)
    return line.replace("@", "&#64;")


def render(report: Report) -> str:
    """`report` as CommonMark, ending in a newline."""
    parts = [*_head(report), *_first(summarize(report))]
    if report.findings:
        parts += ["## Findings", ""]
    for place, finding in enumerate(report.findings, start=1):
        parts += _finding(place, finding)
    parts += _coverage(report)
    return "\n".join(parts).rstrip("\n") + "\n"


def render_findings(findings: tuple[Finding, ...]) -> str:
    """Findings alone, as they stand in a report."""
    parts = [line for place, f in enumerate(findings, start=1) for line in _finding(place, f)]
    return "\n".join(parts or ["No findings."]).rstrip("\n") + "\n"


def _head(report: Report) -> list[str]:
    window = report.window
    services = ", ".join(escape(clip(service)) for service in window.services) or "no service"
    late = f", {window.late:,} late spans" if window.late else ""
    return [
        "# What goes wrong in your agents",
        "",
        f"{services} · {moment(window.start_ns)} to {moment(window.end_ns)} · "
        f"{window.traces:,} traces ({window.settled:,} judged), {window.spans:,} spans{late}",
        "",
    ]


def _first(summary: Summary) -> list[str]:
    if not summary.first:
        return [f"**{summary.headline}**", ""]
    lines = ["## Fix first", "", summary.headline, ""]
    for place, finding in enumerate(summary.first, start=1):
        lines += [
            f"{place}. **{escape(finding.title)}** ({figures(finding)}).  ",
            f"   Do: {escape(finding.full_recommendation)}",
        ]
    if summary.more:
        lines += ["", f"{summary.more} more below."]
    return [*lines, ""]


def _finding(place: int, finding: Finding) -> list[str]:
    since = moment(finding.first_seen_ns)
    seen = f"{finding.windows_seen} window{'' if finding.windows_seen == 1 else 's'}"
    lines = [
        f"### {place}. {escape(finding.title)}",
        "",
        f"{finding.severity.value} · {finding.status.value} · {escape(finding.category)} · "
        f"since {since}, seen in {seen} · confidence {percent(finding.confidence)} · "
        f"{_code(finding.fingerprint)}",
        "",
        escape(finding.full_summary),
        "",
        f"- **Subject:** {_subject(finding)}",
        f"- **Affected:** {share(finding.impact)}",
        f"- **Effect:** {_effect(finding.effect)}",
        f"- **Waste:** {wasted(finding.impact) or 'none that can be measured'}",
    ]
    if cause := finding.root_cause:
        where = _where(cause.trace_id, cause.span_id)
        lines.append(f"- **Cause:** {where}: {escape(cause.why)}")
    lines += [f"- **Do:** {escape(finding.full_recommendation)}", *_evidence(finding.evidence), ""]
    return lines


def _evidence(evidence: tuple[Evidence, ...]) -> Iterable[str]:
    if not evidence:
        return
    yield "- **Evidence:**"
    for item in evidence[:EVIDENCE_MAX]:
        where = _where(item.trace_id, item.span_id)
        yield f"  - {item.role.value}: {where}: {escape(item.note)}"
    if len(evidence) > EVIDENCE_MAX:
        yield f"  - and {len(evidence) - EVIDENCE_MAX} more spans"


def _coverage(report: Report) -> list[str]:
    coverage = report.coverage
    lines = [
        "## How well this could be seen",
        "",
        f"- payloads captured on {percent(coverage.payload_captured)} of model and tool spans",
        f"- outcome known for {percent(coverage.outcome_known)} of traces",
    ]
    lines += [
        f"- {escape(a.detector)} did not judge: {escape(a.why)}"
        for a in coverage.detectors_abstained
    ]
    return [*lines, ""]


def _subject(finding: Finding) -> str:
    return escape(about(finding.subject)) or "everything in the window"


def _effect(effect: Effect) -> str:
    low, high = effect.ci
    p = "" if effect.p_adjusted is None else f", adjusted p {number(effect.p_adjusted)}"
    interval = f"95 % interval {number(low)} to {number(high)}"
    return f"{escape(effect.measure)} {number(effect.value)} ({interval}{p})"


def _where(trace_id: str, span_id: str) -> str:
    return f"trace {_code(trace_id)} span {_code(span_id)}"


def _code(text: str) -> str:
    """A code span; an id has no character that could end it, anything else loses those."""
    return "`" + re.sub(r"[^\w:.-]", "\N{REPLACEMENT CHARACTER}", text) + "`"
