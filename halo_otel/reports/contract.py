"""The report contract `halo.report/v1` as JSON."""

import json
import math
import re
from typing import Final

from halo_otel.clock import rfc3339
from halo_otel.model.finding import Effect, Finding
from halo_otel.model.report import Report

SCHEMA: Final = "halo.report/v1"

# Legal in JSON, yet a terminal may obey them (C1 controls, direction overrides), JavaScript takes two
# of them for line ends, and a lone surrogate has no UTF-8 form. All of them occur inside strings
# only, where \uXXXX means the same.
_HAZARDS: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def render(report: Report) -> str:
    """`report` as indented JSON with the contract's keys in the contract's order, no final newline.

    Numbers that JSON cannot write (an interval without an upper end) are `null`.
    """
    text = json.dumps(_report(report), indent=2, ensure_ascii=False, allow_nan=False)
    return escape(text)


def render_findings(findings: tuple[Finding, ...]) -> str:
    """The `findings` list of the contract alone."""
    text = json.dumps(
        [_finding(f) for f in findings], indent=2, ensure_ascii=False, allow_nan=False
    )
    return escape(text)


def escape(json_text: str) -> str:
    """JSON text that is safe in a terminal and in UTF-8, with the same meaning."""
    return _HAZARDS.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


def _report(report: Report) -> dict[str, object]:
    window, coverage, usage = report.window, report.coverage, report.usage
    return {
        "schema": SCHEMA,
        "window": {
            "start": rfc3339(window.start_ns),
            "end": rfc3339(window.end_ns),
            "traces": window.traces,
            "spans": window.spans,
            "services": list(window.services),
            "settled": window.settled,
            "late": window.late,
        },
        "coverage": {
            "payload_captured": _number(coverage.payload_captured),
            "outcome_known": _number(coverage.outcome_known),
            "detectors_abstained": [
                {"detector": a.detector, "why": a.why} for a in coverage.detectors_abstained
            ],
        },
        "findings": [_finding(finding) for finding in report.findings],
        "usage": {
            "model_calls": usage.model_calls,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cost": _number(usage.cost),
            "claims_checked": usage.claims_checked,
            "claims_dropped": usage.claims_dropped,
        },
    }


def _finding(finding: Finding) -> dict[str, object]:
    subject, cause = finding.subject, finding.root_cause
    return {
        "fingerprint": finding.fingerprint,
        "detector": finding.detector,
        "category": finding.category,
        "title": finding.title,
        "summary": finding.full_summary,
        "subject": {
            "service": subject.service,
            "agent": subject.agent,
            "tool": subject.tool,
            "model": subject.model,
            "attributes": dict(sorted(subject.attributes.items())),
        },
        "severity": finding.severity.value,
        "confidence": _number(finding.confidence),
        "status": finding.status.value,
        "impact": _impact(finding),
        "effect": _effect(finding.effect),
        "traces": list(finding.traces),
        "evidence": [
            {
                "trace_id": evidence.trace_id,
                "span_id": evidence.span_id,
                "role": evidence.role.value,
                "note": evidence.note,
            }
            for evidence in finding.evidence
        ],
        "root_cause": cause
        and {"trace_id": cause.trace_id, "span_id": cause.span_id, "why": cause.why},
        "recommendation": finding.full_recommendation,
        "tier": finding.tier,
        "first_seen": rfc3339(finding.first_seen_ns),
        "last_seen": rfc3339(finding.last_seen_ns),
        "windows_seen": finding.windows_seen,
    }


def _impact(finding: Finding) -> dict[str, object]:
    impact = finding.impact
    return {
        "traces_affected": impact.traces_affected,
        "traces_exposed": impact.traces_exposed,
        "failed_traces_attributable": _number(impact.failed_traces_attributable),
        "tokens_wasted": impact.tokens_wasted,
        "cost_wasted": _number(impact.cost_wasted),
        "seconds_wasted": _number(impact.seconds_wasted),
    }


def _effect(effect: Effect) -> dict[str, object]:
    return {
        "measure": effect.measure,
        "value": _number(effect.value),
        "ci": [_number(bound) for bound in effect.ci],
        "p_adjusted": None if effect.p_adjusted is None else _number(effect.p_adjusted),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
