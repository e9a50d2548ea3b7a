"""`findings`: what the detectors found, as a list or one whole."""

import json
from dataclasses import replace
from typing import Any, Final

from pydantic import Field

from halo_otel.model.finding import Finding
from halo_otel.recursion.environment.arguments import Paged
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, failure, page
from halo_otel.reports.contract import render_findings

_IDS_SHOWN: Final = 10  # affected traces of a whole finding


class Findings(Paged):
    """What the deterministic detectors found, highest priority first. Without a fingerprint: a list. With
    one: that finding whole, with summary, impact, effect, cause, recommendation and its evidence spans."""

    fingerprint: str | None = Field(
        None, max_length=64, description="of one finding; null: list all"
    )


def run(environment: Environment, asked: Findings) -> Reply:
    """The list, or one."""
    fence = environment.fence
    if asked.fingerprint is None:
        found = environment.report.findings
        items = [_brief(environment, one) for one in found[asked.offset :]]
        return page(fence, items, offset=asked.offset, total=len(found), bytes_max=asked.bytes_max)
    one = environment.findings.get(asked.fingerprint)
    if one is None:
        return failure(f"there is no finding {asked.fingerprint!r}: call findings without one")
    one = replace(one, explanation=None)  # of an earlier window: it is to be looked at afresh
    whole: dict[str, Any] = json.loads(render_findings((one,)))[0]
    for name in ("title", "summary", "recommendation"):
        whole[name] = environment.shown(whole[name])
    if whole["root_cause"]:
        whole["root_cause"]["why"] = environment.shown(whole["root_cause"]["why"])
    traces, evidence = whole.pop("traces"), whole.pop("evidence")
    whole["affected"], whole["some_traces"] = len(traces), traces[:_IDS_SHOWN]
    items = [spot | {"note": environment.shown(spot["note"])} for spot in evidence[asked.offset :]]
    return page(
        fence,
        items,
        head=whole,
        offset=asked.offset,
        total=len(evidence),
        bytes_max=asked.bytes_max,
    )


def _brief(environment: Environment, one: Finding) -> dict[str, Any]:
    return {
        "fingerprint": one.fingerprint,
        "severity": one.severity.value,
        "category": one.category,
        "confidence": one.confidence,
        "title": environment.shown(one.title),
        "affected": one.impact.traces_affected,
        "exposed": one.impact.traces_exposed,
        "status": one.status.value,
    }
