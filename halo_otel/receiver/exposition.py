"""Readings as a scraper wants them: Prometheus' text format 0.0.4, or OpenMetrics 1.0.0 where it asks for that."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from halo_otel.selfobs import GAUGES, HELP, HISTOGRAMS, Reading, family

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def wants_openmetrics(accept: str) -> bool:
    """Whether an `Accept` header names OpenMetrics. Who does not take it at all does not name it, so its weights
    (RFC 9110 §12.4.2) are not compared: both texts say the same."""
    kinds = (part.partition(";") for part in accept.split(","))
    return any(
        kind.strip().lower() == "application/openmetrics-text" and "q=0" not in rest.split(";")
        for kind, _, rest in kinds
    )


def prometheus_text(readings: Iterable[Reading], *, openmetrics: bool = False) -> str:
    """`readings`: dots become underscores, counters end in `_total`; in OpenMetrics their families do not.

    What several processes count is told once, as their sum.
    """
    totals: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
    for reading in readings:
        totals[reading.name, reading.attributes] += reading.value
    families: dict[str, list[Reading]] = defaultdict(list)
    for (name, attributes), total in totals.items():
        families[family(name)[0]].append(Reading(name, attributes, total))
    lines: list[str] = []
    for name, group in sorted(families.items()):
        metric, kind = _underscored(name), _kind(name)
        suffix = "_total" if kind == "counter" else ""
        told = metric if openmetrics else metric + suffix
        lines.append(f"# HELP {told} {HELP[name]}")
        lines.append(f"# TYPE {told} {kind}")
        if kind == "histogram":
            group.sort(key=_in_order)
        lines += [
            f"{_underscored(one.name)}{suffix}{_labels(one)} {_number(one.value)}" for one in group
        ]
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n" if lines else ""


def _kind(name: str) -> str:
    if name in HISTOGRAMS:
        return "histogram"
    return "gauge" if name in GAUGES else "counter"


def _in_order(reading: Reading) -> tuple[tuple[tuple[str, str], ...], str, float]:
    """One histogram after the other, its buckets by their bounds."""
    others = tuple(pair for pair in reading.attributes if pair[0] != "le")
    bounds = [float(value) for key, value in reading.attributes if key == "le"]
    return others, reading.name, bounds[0] if bounds else 0.0


def _underscored(name: str) -> str:
    return name.replace(".", "_")


def _labels(reading: Reading) -> str:
    pairs = [f'{_underscored(key)}="{_escaped(text)}"' for key, text in reading.attributes]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
