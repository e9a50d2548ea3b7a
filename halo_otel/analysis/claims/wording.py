"""Plain sentences for findings, filled from the evidence.

Names and error texts come from strangers: they are shown quoted, without control characters, on one
line and cut to a bounded length; nothing here is markup or is ever interpreted.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from halo_otel.analysis.claims.pattern import Assessment

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


def rate(assessment: Assessment) -> str:
    """In how many traces it was seen, and how many more made it good."""
    impact = assessment.impact
    low, high = assessment.ci
    seen = f"Seen in {impact.traces_affected} of {impact.traces_exposed} traces"
    if impact.traces_affected > 1:
        seen += f" ({assessment.rate:.1%}, 95 % interval {low:.1%} to {high:.1%})"
    more = assessment.made_good
    return f"{seen}, and in {more} more that made it good" if more else seen


def most(assessment: Assessment) -> int:
    """The most repetitions in one trace."""
    return max(hit.strength for hits in assessment.pattern.hits.values() for hit in hits)


def waste(assessment: Assessment) -> str:
    """What the extra work cost, as a sentence after others."""
    impact = assessment.impact
    calls = sum(hit.waste.calls for hits in assessment.pattern.hits.values() for hit in hits)
    parts = [f"{calls} extra calls", f"{impact.seconds_wasted:.1f} s"]
    if impact.tokens_wasted:
        parts.append(f"{impact.tokens_wasted} tokens")
    if impact.cost_wasted:
        parts.append(f"{impact.cost_wasted:.2f} USD")
    return f" That cost {', '.join(parts)}."


def harm(assessment: Assessment) -> str:
    """Whether runs fail of it, as a sentence after others; nothing if that is not known."""
    attributable = assessment.impact.failed_traces_attributable
    if attributable < 1:
        return ""
    return (
        f" Runs with it fail more often: at least {attributable:.0f} failures would not have been."
    )
