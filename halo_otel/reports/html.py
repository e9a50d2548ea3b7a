"""A report as one HTML page: no script, no resource from elsewhere, light and dark, readable without colours.

Everything folds by plain `<details>`. Its content security policy allows this page's own style sheet, by
its hash, and nothing else: should a text of a stranger ever get through, nothing would run or load.
"""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Final

from halo_otel.model.explained import EXPLAINED
from halo_otel.model.finding import Evidence, Finding, Subject
from halo_otel.model.report import Report
from halo_otel.reports.summary import Summary, figures, summarize
from halo_otel.reports.words import clip, line, moment, number, percent, share, wasted

_STYLE: Final = """
:root { color-scheme: light dark; --line: #ccd2da; --soft: #f4f6f8; --dim: #5b6570;
  --fatal: #a50e0e; --error: #c5221f; --warn: #9a5b00; --info: #1a5fb4; }
@media (prefers-color-scheme: dark) { :root { --line: #3b424b; --soft: #1e2329; --dim: #a3adb8;
  --fatal: #ff8a80; --error: #ff8a80; --warn: #ffc46b; --info: #8ab4f8; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2rem; }
.dim { color: var(--dim); } .fatal { color: var(--fatal); } .error { color: var(--error); }
.warn { color: var(--warn); } .info { color: var(--info); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; padding: 0 1rem; }
summary { cursor: pointer; padding: .6rem 0; overflow-wrap: anywhere; }
section { background: var(--soft); border-radius: .4rem; padding: .5rem 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } .wide { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-top: 1px solid var(--line); }
code { font-size: .85em; overflow-wrap: anywhere; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)
_OPEN: Final = 3  # findings that are unfolded at first


def render(report: Report) -> str:
    """`report` as one page, ending in a newline."""
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        "<title>What goes wrong in your agents</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        *_head(report),
        *_summary(summarize(report)),
    ]
    if report.findings:
        parts += ["<h2>Findings</h2>"]
    for place, finding in enumerate(report.findings, start=1):
        parts += _finding(place, finding)
    parts += [*_indexes(report.findings), *_coverage(report), "</body>", "</html>"]
    return "\n".join(parts) + "\n"


def text(told: str) -> str:
    """`told` on one line, as text and nothing else, also inside an attribute."""
    return escape(line(told), quote=True)


def _head(report: Report) -> Iterable[str]:
    window = report.window
    services = ", ".join(text(clip(service)) for service in window.services) or "no service"
    late = f", {window.late:,} late spans" if window.late else ""
    yield "<h1>What goes wrong in your agents</h1>"
    yield (
        f'<p class="dim">{services} · {moment(window.start_ns)} to {moment(window.end_ns)} · '
        f"{window.traces:,} traces ({window.settled:,} judged), {window.spans:,} spans{late}</p>"
    )


def _summary(summary: Summary) -> Iterable[str]:
    yield "<section>"
    if summary.first:
        yield "<h2>Fix first</h2>"
    yield f"<p>{text(summary.headline)}</p>"
    if summary.first:
        yield "<ol>"
        for finding in summary.first:
            yield (
                f"<li><strong>{text(finding.title)}</strong> ({text(figures(finding))}).<br>"
                f"Do: {text(finding.full_recommendation)}</li>"
            )
        yield "</ol>"
    yield "</section>"


def _finding(place: int, finding: Finding) -> Iterable[str]:
    severity = finding.severity.value
    yield f'<details id="finding-{place}"{" open" if place <= _OPEN else ""}>'
    yield (
        f'<summary><strong class="{severity}">{severity}</strong> '
        f"<strong>{place}. {text(finding.title)}</strong> "
        f'<span class="dim">{finding.status.value} · {text(finding.category)} · '
        f"{text(share(finding.impact))}</span></summary>"
    )
    yield f"<p>{text(finding.full_summary)}</p>"
    yield "<dl>"
    for name, told in _facts(finding):
        yield f"<dt>{name}</dt><dd>{told}</dd>"
    yield "</dl>"
    yield from _evidence(finding.evidence)
    yield f"<details><summary>All {len(finding.traces):,} traces</summary><p>"
    yield " ".join(f"<code>{text(trace)}</code>" for trace in finding.traces)
    yield "</p></details>"
    yield "</details>"


def _facts(finding: Finding) -> Iterable[tuple[str, str]]:
    yield "Do", text(finding.full_recommendation)
    yield "Saves", text(wasted(finding.impact) or "nothing that can be measured")
    yield "Subject", _subject(finding.subject)
    if cause := finding.root_cause:
        yield (
            "Cause",
            f"{text(cause.why)}: trace <code>{text(cause.trace_id)}</code> span <code>{text(cause.span_id)}</code>",
        )
    effect = finding.effect
    low, high = effect.ci
    p = "" if effect.p_adjusted is None else f", adjusted p {number(effect.p_adjusted)}"
    yield (
        "Effect",
        f"{text(effect.measure)} {number(effect.value)} (95 % interval {number(low)} to {number(high)}{p})",
    )
    yield "Confidence", percent(finding.confidence)
    seen = f"{finding.windows_seen} window{'' if finding.windows_seen == 1 else 's'}"
    yield "Seen", f"since {moment(finding.first_seen_ns)}, in {seen}"
    if explained := EXPLAINED.get(finding.detector):
        yield "Means", text(explained.means)
        yield "Silent about", text(explained.abstains)
    yield "Not a fault?", f"<code>halo-otel mute {text(finding.fingerprint)}</code>"


def _subject(subject: Subject) -> str:
    named = {
        "service": subject.service,
        "agent": subject.agent,
        "tool": subject.tool,
        "model": subject.model,
        **dict(sorted(subject.attributes.items())),
    }
    known = [f"{text(clip(k))} {text(clip(v))}" for k, v in named.items() if v is not None]
    return ", ".join(known) or "everything in the window"


def _evidence(evidence: Sequence[Evidence]) -> Iterable[str]:
    if not evidence:
        return
    yield '<div class="wide"><table><thead><tr><th>Evidence</th><th>Span</th><th>Trace</th></tr></thead><tbody>'
    for item in evidence:
        yield (
            f"<tr><td>{item.role.value}: {text(item.note)}</td><td><code>{text(item.span_id)}</code></td>"
            f"<td><code>{text(item.trace_id)}</code></td></tr>"
        )
    yield "</tbody></table></div>"


def _whose(finding: Finding) -> str:
    subject = finding.subject
    return " · ".join(part for part in (subject.service, subject.agent) if part) or "all"


# A group's place among the others, and its name.
_ORDERS: Final[Mapping[str, Callable[[Finding], tuple[int, str]]]] = {
    "By severity": lambda finding: (-finding.severity.number, finding.severity.value),
    "By category": lambda finding: (0, finding.category),
    "By service and agent": lambda finding: (0, _whose(finding)),
    "By status": lambda finding: (0, finding.status.value),
}


def _indexes(findings: Sequence[Finding]) -> Iterable[str]:
    """The same findings in other orders."""
    if len(findings) < 2:
        return
    yield "<h2>In another order</h2>"
    for title, key in _ORDERS.items():
        groups: dict[tuple[int, str], list[int]] = defaultdict(list)
        for place, finding in enumerate(findings, start=1):
            groups[key(finding)].append(place)
        yield f"<details><summary>{title}</summary><ul>"
        for group in sorted(groups):
            yield f"<li>{text(clip(group[1]))}<ol>"
            for place in groups[group]:
                name = text(findings[place - 1].title)
                yield f'<li value="{place}"><a href="#finding-{place}">{name}</a></li>'
            yield "</ol></li>"
        yield "</ul></details>"


def _coverage(report: Report) -> Iterable[str]:
    coverage = report.coverage
    yield "<h2>How well this could be seen</h2><ul>"
    yield f"<li>payloads captured on {percent(coverage.payload_captured)} of model and tool spans</li>"
    yield f"<li>outcome known for {percent(coverage.outcome_known)} of traces</li>"
    for one in coverage.detectors_abstained:
        yield f"<li>{text(one.detector)} did not judge: {text(one.why)}</li>"
    yield "</ul>"
