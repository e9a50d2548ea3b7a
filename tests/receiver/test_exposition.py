"""The metrics page by the rules of its two formats."""

import re
from collections import defaultdict

import pytest

from halo_otel.receiver.exposition import prometheus_text, wants_openmetrics
from halo_otel.selfobs import GAUGES, HELP, HISTOGRAMS, Counters

# The Prometheus documentation, "Exposition formats", and OpenMetrics 1.0, "ABNF".
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABELS = r'\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+\}'
SAMPLE = re.compile(rf"({NAME})({LABELS})? (\+Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
# What a sample of a family of that type may be called.
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def everything() -> Counters:
    """Each metric there is, with what a label can hold."""
    counters = Counters()
    for name in HELP:
        for value in ("plain", 'a"b\\c\nd'):
            if name in HISTOGRAMS:
                for seconds in (0.0, 0.3, 1e9):
                    counters.observe(name, seconds, who=value)
            elif name in GAUGES:
                counters.set(name, -1.5e-7, who=value)
            else:
                counters.add(name, 2**60, who=value)
    return counters


@pytest.mark.parametrize("openmetrics", [False, True])
def test_every_line_is_by_the_rules(openmetrics: bool) -> None:
    text = prometheus_text(everything().snapshot(), openmetrics=openmetrics)
    lines = text.split("\n")
    assert lines.pop() == ""
    if openmetrics:
        assert lines.pop() == "# EOF"
    kinds: dict[str, str] = {}
    family = ""
    seen: set[str] = set()
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in kinds, "a family stands in one piece"
            assert lines[number + 1].startswith(f"# TYPE {family} ")
        elif line.startswith("# TYPE "):
            kinds[family] = line.split(" ")[3]
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            stem = family if openmetrics else family.removesuffix("_total")
            assert match[1] in [stem + suffix for suffix in SUFFIXES[kinds[family]]]
            series = line.rsplit(" ", 1)[0]
            assert series not in seen
            seen.add(series)
    assert len(kinds) == len(HELP)


def test_buckets_hold_all_that_is_no_more_and_come_in_order() -> None:
    counters = everything()
    lines = prometheus_text(counters.snapshot()).split("\n")
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        if "_bucket{" in line:
            bound = re.search(r'le="([^"]+)"', line)
            assert bound
            series = line.replace(bound[0], "").rsplit(" ", 1)
            groups[series[0]].append((float(bound[1]), float(series[1])))
    assert len(groups) == 2 * len(HISTOGRAMS)
    for buckets in groups.values():
        bounds, counts = zip(*buckets, strict=True)
        assert list(bounds) == sorted(bounds)
        assert list(counts) == sorted(counts)
        assert (counts[0], bounds[-1], counts[-1]) == (1, float("inf"), 3)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.4,*/*;q=0.1", True),
        ("text/plain, Application/OpenMetrics-Text ; version=1.0.0", True),
        ("application/openmetrics-text;q=0,text/plain", False),
    ],
)
def test_openmetrics_is_for_who_asks_for_it(accept: str, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted


def test_what_both_processes_count_is_told_once() -> None:
    front, engine = Counters(), Counters()
    front.begin()
    engine.add("halo.window.damaged", 2)
    lines = prometheus_text([*front.snapshot(), *engine.snapshot()]).split("\n")
    samples = [line for line in lines if not line.startswith("#")]
    assert "halo_window_damaged_total 2" in samples
    assert "halo_engine_restarts_total 0" in samples
    assert len(samples) == len(set(samples))
