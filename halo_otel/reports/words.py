"""The figures of a finding in words, alike in reports and on the terminal."""

from collections.abc import Sequence
from typing import Final

from halo_otel.clock import rfc3339
from halo_otel.model.finding import Impact, Subject

NAME_CHARS_MAX: Final = 200  # of a service, an agent, a tool; the JSON has them whole


def share(impact: Impact) -> str:
    """`12 of 86 traces (14 %)`."""
    affected, exposed = impact.traces_affected, impact.traces_exposed
    part = f" ({percent(affected / exposed)})" if exposed else ""
    return f"{affected:,} of {exposed:,} traces{part}"


def percent(part: float) -> str:
    """A share in 0..1 as `14 %`."""
    return f"{part * 100:.0f} %"


def about(subject: Subject) -> str:
    """`service travel, agent booking, tool pay`; empty if it is about no one in particular."""
    named = {
        "service": subject.service,
        "agent": subject.agent,
        "tool": subject.tool,
        "model": subject.model,
        **dict(sorted(subject.attributes.items())),
    }
    told = [f"{clip(key)} {clip(name)}" for key, name in named.items() if name is not None]
    return ", ".join(told)


def moment(time_ns: int) -> str:
    """A time to the second, in UTC."""
    return rfc3339(time_ns)[:19] + "Z"


def waste(impact: Impact) -> str:
    """What fixing the finding would save, as half a sentence."""
    parts = wasted(impact)
    return f"fixing it saves {parts}" if parts else "no measurable waste"


def wasted(impact: Impact) -> str:
    """What the finding costs: `41,250 tokens, 93.4 s`; empty if that is unknown."""
    parts = [
        f"{impact.tokens_wasted:,} tokens" if impact.tokens_wasted else "",
        f"{impact.cost_wasted:,.2f} USD" if impact.cost_wasted >= 0.005 else "",
        f"{impact.seconds_wasted:,.1f} s" if impact.seconds_wasted >= 0.05 else "",
        f"{impact.failed_traces_attributable:,.1f} failed traces"
        if impact.failed_traces_attributable >= 0.05
        else "",
    ]
    return ", ".join(part for part in parts if part)


def line(text: str) -> str:
    """`text` on one line; controls, direction marks and other invisible characters show as U+FFFD."""
    told = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in told)


def clip(text: str) -> str:
    """A name that strangers gave, at a length that leaves room for others."""
    return text if len(text) <= NAME_CHARS_MAX else text[: NAME_CHARS_MAX - 1] + "…"


def number(value: float) -> str:
    """Three significant digits, thousands kept whole."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last
