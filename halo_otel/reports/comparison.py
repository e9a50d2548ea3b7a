"""A comparison for people (Markdown, which is plain text as well) and for programs (`halo.diff/v1`)."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from halo_otel.clock import rfc3339
from halo_otel.model.comparison import (
    Change,
    Comparison,
    FindingChange,
    MetricChange,
    Sight,
    Slower,
)
from halo_otel.model.finding import Effect
from halo_otel.model.report import WindowSummary
from halo_otel.reports.contract import escape as escape_json
from halo_otel.reports.markdown import escape
from halo_otel.reports.words import clip, moment, number, percent

SCHEMA: Final = "halo.diff/v1"

_HEADINGS: Final = {
    Change.NEW: "New",
    Change.WORSE: "Worse",
    Change.FIXED: "Fixed",
    Change.BETTER: "Better",
    Change.UNSEEN: "Not seen, and too little traffic to call it fixed",
    Change.SAME: "As before",
}


def render(comparison: Comparison) -> str:
    """`comparison` as CommonMark, ending in a newline."""
    lines = ["# What changed", "", f"**{_verdict(comparison)}**", ""]
    lines += [
        f"- before: {_window(comparison.before)}",
        f"- after: {_window(comparison.after)}",
        "",
    ]
    for change, heading in _HEADINGS.items():
        found = [one for one in comparison.findings if one.change is change]
        if found:
            lines += [f"## {heading}", "", *(line for one in found for line in _finding(one)), ""]
    if comparison.metrics:
        lines += ["## Figures", "", *map(_metric, comparison.metrics), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def render_json(comparison: Comparison) -> str:
    """`comparison` as indented JSON, no final newline; numbers that JSON cannot write are `null`."""
    data = {
        "schema": SCHEMA,
        "regressed": comparison.regressed,
        "before": _window_json(comparison.before),
        "after": _window_json(comparison.after),
        "findings": [
            {
                "change": one.change.value,
                "sure": one.sure,
                "breaks": one.breaks,
                "fingerprint": one.finding.fingerprint,
                "category": one.finding.category,
                "severity": one.finding.severity.value,
                "title": one.finding.title,
                "before": _sight_json(one.before),
                "after": _sight_json(one.after),
                "effect": _effect_json(one.effect),
                "recommendation": one.finding.full_recommendation,
            }
            for one in comparison.findings
        ],
        "metrics": [
            {
                "change": one.change.value,
                "name": one.name,
                "unit": one.unit,
                "service": one.service,
                "agent": one.agent,
                "before": one.before,
                "after": one.after,
                "runs_before": one.runs_before,
                "runs_after": one.runs_after,
                "effect": _effect_json(one.effect),
                "slower": None if one.slower is None else asdict(one.slower),
            }
            for one in comparison.metrics
        ],
    }
    return escape_json(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


def _verdict(comparison: Comparison) -> str:
    counts = {change: sum(one.change is change for one in comparison.findings) for change in Change}
    worse = sum(one.change is Change.WORSE for one in comparison.metrics)
    parts = [
        f"{counts[change]} {change.value}"
        for change in (Change.NEW, Change.WORSE, Change.FIXED, Change.BETTER)
        if counts[change]
    ]
    parts += [f"{worse} figures worse"] if worse else []
    told = ", ".join(parts) or "no change that luck would not explain"
    return f"{'Regressed' if comparison.regressed else 'No regression'}: {told}."


def _window(window: WindowSummary) -> str:
    services = ", ".join(escape(clip(service)) for service in window.services) or "no service"
    return (
        f"{services}, {window.settled:,} traces judged, {moment(window.start_ns)} to"
        f" {moment(window.end_ns)}"
    )


def _finding(one: FindingChange) -> Iterable[str]:
    doubt = "" if one.sure or one.change is not Change.NEW else " (may be luck)"
    yield f"- **{escape(one.finding.title)}** ({one.finding.severity.value}){doubt}  "
    ratio = ""
    if one.change in (Change.WORSE, Change.BETTER):
        low, high = one.effect.ci
        ratio = f"; {number(one.effect.value)} times, 95 % interval {number(low)} to {number(high)}"
    yield f"  before {_sight(one.before)}, after {_sight(one.after)}{ratio}"
    if one.breaks:
        yield f"  Do: {escape(one.finding.full_recommendation)}"


def _sight(sight: Sight) -> str:
    return f"{sight.affected:,} of {sight.exposed:,} traces ({percent(sight.rate)})"


def _metric(one: MetricChange) -> str:
    unit = f" {one.unit}" if one.unit else ""
    low, high = one.effect.ci
    if one.unit == "" and max(abs(one.before), abs(one.after)) <= 1:
        levels = f"{one.before:.1%} → {one.after:.1%}"
        span = f"{low:+.1%} to {high:+.1%}"
    else:
        levels = f"{number(one.before)} → {number(one.after)}{unit} (median)"
        span = f"× {number(low)} to {number(high)}"
    who = escape(clip(" ".join(dict.fromkeys(part for part in (one.service, one.agent) if part))))
    told = {Change.WORSE: "**worse**", Change.BETTER: "better"}.get(one.change, "as before")
    return f"- {who}: {one.name} {levels}, {told} (95 % interval {span}){_slower(one.slower)}"


def _slower(one: Slower | None) -> str:
    if one is None:
        return ""
    kind, name = ("tool", one.tool) if one.tool is not None else ("model", one.model)
    agent = f"agent {escape(clip(one.agent))}"
    what = f"{agent} itself" if name is None else f"{kind} {escape(clip(name))} of {agent}"
    return (
        f"; {percent(one.share)} of it is waiting for {what},"
        f" {number(one.before_s)} → {number(one.after_s)} s a run"
    )


def _window_json(window: WindowSummary) -> dict[str, object]:
    return {
        "start": rfc3339(window.start_ns),
        "end": rfc3339(window.end_ns),
        "services": list(window.services),
        "traces": window.traces,
        "settled": window.settled,
    }


def _sight_json(sight: Sight) -> dict[str, object]:
    return {"traces_affected": sight.affected, "traces_exposed": sight.exposed}


def _effect_json(effect: Effect) -> dict[str, object]:
    return {
        "measure": effect.measure,
        "value": _finite(effect.value),
        "ci": [_finite(bound) for bound in effect.ci],
        "p_adjusted": effect.p_adjusted,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
