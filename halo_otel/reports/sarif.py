"""A report as SARIF 2.1.0 (OASIS, March 2020), for code scanning dashboards and build pipelines.

A rule is a detector, a result a finding. Agents have no source files here: results stand at logical
locations (service, agent, tool, model; §3.33), evidence at related ones that bear trace and span ids. Muted
findings are suppressed (§3.35), resolved ones absent from the baseline's point of view (§3.27.24).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from halo_otel.model.explained import EXPLAINED
from halo_otel.model.finding import Evidence, Finding, Severity, Status
from halo_otel.model.report import Report
from halo_otel.reports.contract import escape

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS: Final = {
    Severity.INFO: "note",
    Severity.WARN: "warning",
    Severity.ERROR: "error",
    Severity.FATAL: "error",
}
_BASELINE: Final = {
    Status.NEW: "new",
    Status.REGRESSED: "new",  # it was gone
    Status.ONGOING: "unchanged",
    Status.MUTED: "unchanged",
    Status.ESCALATING: "updated",
    Status.IMPROVING: "updated",
    Status.RESOLVED: "absent",
}
# §3.11.5: braces enclose placeholders; §3.11.6: brackets make links.
_MARKS: Final = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})


def render(report: Report, version: str) -> str:
    """`report` as indented JSON, no final newline; `version` is halo-otel's."""
    rules = sorted({finding.detector for finding in report.findings})
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "halo-otel",
                        "semanticVersion": version,
                        "rules": [_rule(name, report.findings) for name in rules],
                    }
                },
                "invocations": [{"executionSuccessful": True, **_abstentions(report)}],
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, rules) for finding in report.findings],
            }
        ],
    }
    return escape(json.dumps(log, indent=2, ensure_ascii=False, allow_nan=False))


def message(text: str) -> str:
    """A plain text message (§3.11.3) that says `text`, without links and placeholders."""
    return text.translate(_MARKS)


def _rule(name: str, findings: Sequence[Finding]) -> dict[str, object]:
    explained = EXPLAINED.get(name)
    if explained is None:  # what a model or a plug-in found
        category = next(finding.category for finding in findings if finding.detector == name)
        return {"id": name, "properties": {"category": category}}
    silent = f"Says nothing about: {explained.abstains}"
    return {
        "id": name,
        "shortDescription": {"text": message(explained.means)},
        "help": {
            "text": message(f"{explained.means}\nExample: {explained.example}\n{silent}"),
            "markdown": f"{explained.means}\n\n**Example:** {explained.example}\n\n{silent}",
        },
        "properties": {"category": explained.category},
    }


def _abstentions(report: Report) -> Mapping[str, object]:
    notes = [
        {
            "level": "note",
            "message": {"text": message(f"{one.detector} did not judge: {one.why}")},
            "descriptor": {"id": one.detector},
        }
        for one in report.coverage.detectors_abstained
    ]
    return {"toolExecutionNotifications": notes} if notes else {}


def _result(finding: Finding, rules: Sequence[str]) -> dict[str, object]:
    impact = finding.impact
    suppressed = finding.status is Status.MUTED
    return {
        "ruleId": finding.detector,
        "ruleIndex": rules.index(finding.detector),
        "level": _LEVELS[finding.severity],
        "message": {
            "text": message(
                f"{finding.title}\n{finding.full_summary}\nDo: {finding.full_recommendation}"
            )
        },
        "locations": [{"logicalLocations": _logical(finding)}],
        "relatedLocations": [_related(place, one) for place, one in enumerate(finding.evidence)],
        "fingerprints": {"halo/v1": finding.fingerprint},
        "baselineState": _BASELINE[finding.status],
        "suppressions": [{"kind": "external", "status": "accepted"}] if suppressed else [],
        "properties": {
            "category": finding.category,
            "severity": finding.severity.value,
            "status": finding.status.value,
            "confidence": finding.confidence,
            "traceIds": list(finding.traces),
            "rootCause": finding.root_cause
            and {
                "traceId": finding.root_cause.trace_id,
                "spanId": finding.root_cause.span_id,
                "why": finding.root_cause.why,
            },
            "tracesExposed": impact.traces_exposed,
            "failedTracesAttributable": impact.failed_traces_attributable,
            "tokensWasted": impact.tokens_wasted,
            "costWasted": impact.cost_wasted,
            "secondsWasted": impact.seconds_wasted,
        },
    }


def _logical(finding: Finding) -> list[dict[str, object]]:
    """The subject from the outside in: each part's full name begins with those around it."""
    subject = finding.subject
    parts = {
        "service": subject.service,
        "agent": subject.agent,
        "tool": subject.tool,
        "model": subject.model,
    }
    locations: list[dict[str, object]] = []
    path: list[str] = []
    for kind, name in parts.items():
        if name:
            path.append(name)
            locations.append({"name": name, "fullyQualifiedName": "/".join(path), "kind": kind})
    return locations or [{"name": "everything", "kind": "window"}]


def _related(place: int, evidence: Evidence) -> dict[str, object]:
    return {
        "id": place,
        "message": {"text": message(f"{evidence.role.value}: {evidence.note}")},
        "logicalLocations": [
            {
                "name": evidence.span_id,
                "fullyQualifiedName": f"{evidence.trace_id}/{evidence.span_id}",
                "kind": "span",
            }
        ],
        "properties": {
            "traceId": evidence.trace_id,
            "spanId": evidence.span_id,
            "role": evidence.role.value,
        },
    }
