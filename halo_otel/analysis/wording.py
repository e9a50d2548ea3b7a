"""Plain sentences for findings, filled from the evidence.

Names and error texts come from strangers: they are shown quoted, without control characters, on one
line and cut to a bounded length; nothing here is markup or is ever interpreted.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from halo_otel.analysis import capture
from halo_otel.analysis.gate import Assessment

NAME_CHARS_MAX: Final = 60
TEXT_CHARS_MAX: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """What a person reads of a finding."""

    title: str
    summary: str
    why: str  # why the cause span is blamed
    recommendation: str


def plain(text: str, limit: int = TEXT_CHARS_MAX) -> str:
    """`text` on one line without control, format or unassigned characters, at most `limit` long."""
    visible = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or not unicodedata.category(char).startswith("C")
    )
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quoted(name: str | None) -> str:
    """A name from telemetry, recognisable as such."""
    return f'"{plain(name or "", NAME_CHARS_MAX).replace(chr(34), chr(39))}"'


def describe(assessment: Assessment) -> Sentences:
    """The sentences of a finding."""
    return _SENTENCES[assessment.pattern.first.category](assessment)


def _error(assessment: Assessment) -> Sentences:
    hit = assessment.pattern.first
    operation, kind, template = assessment.pattern.scope
    says = (
        plain(template.replace("«", "").replace("»", ""))
        or plain(kind)
        or "an error without a message"
    )
    if kind and kind not in says:
        says = f"{plain(kind, NAME_CHARS_MAX)}: {says}"
    what = (
        f"tool {quoted(hit.subject.tool)}"
        if hit.subject.tool
        else _OPERATIONS.get(operation, operation)
    )
    recovered = assessment.recovered_share
    after = (
        "No later attempt succeeds."
        if recovered == 0
        else f"In {recovered:.0%} of them a later attempt succeeds."
    )
    return Sentences(
        title=f"Agent {quoted(hit.subject.agent)}: {what} fails with “{says}”",
        summary=f"{_rate(assessment)}. {after}{_harm(assessment)}",
        why="the deepest span of its branch that failed",
        recommendation=f"Look at {what} at the cited spans: the same error comes back run after run, so "
        "retrying will not cure it. Fix the cause, or tell the agent how to avoid the call.",
    )


def _loop(assessment: Assessment) -> Sentences:
    hit = assessment.pattern.first
    tools = plain(hit.slots["tools"], TEXT_CHARS_MAX)
    return Sentences(
        title=f"Agent {quoted(hit.subject.agent)} repeats {_cycle(assessment)} "
        "with the same arguments and the same answers",
        summary=f"{_rate(assessment)}, up to {_most(assessment)} times in a row without any progress."
        f"{_waste(assessment)}{_harm(assessment)}",
        why="the first call that repeats an earlier one and is answered the same",
        recommendation=f"Stop the agent when {tools} brings the same answer a third time: return a "
        "message that says so, or cap identical calls. Check why the answer does not satisfy it.",
    )


def _retry_storm(assessment: Assessment) -> Sentences:
    hit = assessment.pattern.first
    pauses = sorted({h.slots["backoff"] for hits in assessment.pattern.hits.values() for h in hits})
    return Sentences(
        title=f"Agent {quoted(hit.subject.agent)} keeps retrying {_cycle(assessment)} although it fails",
        summary=f"{_rate(assessment)}: the failing call is made up to {_most(assessment)} times with "
        f"unchanged arguments ({' or '.join(pauses)}).{_waste(assessment)}{_harm(assessment)}",
        why="the first retry of a call that had failed with the same arguments",
        recommendation="Cap the attempts at three with growing pauses, and hand the error to the agent "
        "with a hint what to change: the same arguments will fail again.",
    )


def _redundant_call(assessment: Assessment) -> Sentences:
    hit = assessment.pattern.first
    return Sentences(
        title=f"Agent {quoted(hit.subject.agent)} asks tool {quoted(hit.subject.tool)} again "
        "for what it already knows",
        summary=f"{_rate(assessment)}: a call has the same arguments and the same answer as one before "
        f"it, with nothing written in between.{_waste(assessment)}",
        why="the call brought nothing that was not known",
        recommendation=f"Cache {quoted(hit.subject.tool)} by its arguments within a run, or keep its "
        "answer in the context the agent sees.",
    )


def _latency(assessment: Assessment) -> Sentences:
    hit = assessment.pattern.first
    what = (
        f"tool {quoted(hit.subject.tool)}"
        if hit.subject.tool
        else f"model {quoted(hit.subject.model)}"
    )
    return Sentences(
        title=f"Agent {quoted(hit.subject.agent)}: {what} has a slow mode",
        summary=f"{_rate(assessment)}: {what} takes about {hit.slots['slow_s']} s instead of the usual "
        f"{hit.slots['usual_s']} s; the slow calls form a group of their own, not a tail."
        f"{_waste(assessment)}",
        why="among the slowest calls of the slow group",
        recommendation=f"Compare the slow and the usual calls of {what} (host, arguments, time of day): "
        "two separate speeds point to two separate paths, such as a cold cache, a timeout or a bad node.",
    )


def _instrumentation(assessment: Assessment) -> Sentences:
    pattern = assessment.pattern
    missing, why = pattern.scope
    hits = [hit for found in pattern.hits.values() for hit in found]
    dialects = {dialect for hit in hits for dialect in hit.slots["dialects"].split(",")}
    parts = sorted({part for hit in hits for part in hit.slots["parts"].split(",")})
    what, blind = _MISSING[missing]
    what = what.format(" and ".join(reversed(parts)))
    how = "is not recorded" if why == "absent" else f"is {why}"
    return Sentences(
        title=f"Telemetry of {quoted(pattern.first.subject.service)}: {what} {how}",
        summary=f"{_rate(assessment)}. {blind}",
        why="the first span of the run that lacks it",
        recommendation=capture.cure(missing, why, dialects),
    )


_MISSING: Final = {
    "content": (
        "what {} were asked and answered",
        "Loops, repeated calls and wrong arguments cannot be seen without it; errors and latency can.",
    ),
    "usage": ("token usage", "What faults cost cannot be told without it."),
}
_SENTENCES: Final[dict[str, Callable[[Assessment], Sentences]]] = {
    "error": _error,
    "loop": _loop,
    "retry_storm": _retry_storm,
    "redundant_call": _redundant_call,
    "latency": _latency,
    "instrumentation": _instrumentation,
}
_OPERATIONS: Final = {"llm": "the model call", "agent": "the run", "other": "an operation"}


def _cycle(assessment: Assessment) -> str:
    tools = assessment.pattern.scope
    return plain(" → ".join(quoted(tool) for tool in tools), 2 * TEXT_CHARS_MAX)


def _rate(assessment: Assessment) -> str:
    impact = assessment.impact
    low, high = assessment.ci
    if impact.traces_affected == 1:
        return f"Seen in 1 of {impact.traces_exposed} traces"
    return (
        f"Seen in {impact.traces_affected} of {impact.traces_exposed} traces "
        f"({assessment.rate:.1%}, 95 % interval {low:.1%} to {high:.1%})"
    )


def _most(assessment: Assessment) -> int:
    return max(hit.strength for hits in assessment.pattern.hits.values() for hit in hits)


def _waste(assessment: Assessment) -> str:
    impact = assessment.impact
    calls = sum(hit.waste.calls for hits in assessment.pattern.hits.values() for hit in hits)
    parts = [f"{calls} extra calls", f"{impact.seconds_wasted:.1f} s"]
    if impact.tokens_wasted:
        parts.append(f"{impact.tokens_wasted} tokens")
    if impact.cost_wasted:
        parts.append(f"{impact.cost_wasted:.2f} USD")
    return f" That cost {', '.join(parts)}."


def _harm(assessment: Assessment) -> str:
    attributable = assessment.impact.failed_traces_attributable
    if attributable < 1:
        return ""
    return (
        f" Runs with it fail more often: at least {attributable:.0f} failures would not have been."
    )
