"""The alert rules name metrics that /metrics serves, by the names it gives them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from halo_otel.receiver.exposition import prometheus_text
from halo_otel.selfobs import GAUGES, HELP, HISTOGRAMS, Counters

FILE = Path(__file__).parents[2] / "deploy" / "prometheus" / "halo-otel.rules.yaml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(FILE.read_text("utf-8"))["groups"] for rule in group["rules"]
]


def served() -> set[str]:
    counters = Counters()
    for name in HELP:
        counted = counters.observe if name in HISTOGRAMS else counters.add
        (counters.set if name in GAUGES else counted)(name, 1)
    return set(re.findall(r"^(halo_\w+)", prometheus_text(counters.snapshot()), re.M))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_whole_and_about_what_is_served(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    expression = rule["expr"]
    assert expression.count("(") == expression.count(")")
    named = set(re.findall(r"\bhalo_\w+", expression))
    for name in re.findall(r"{([a-z]+)(?:=~|!=|!~|=)", expression):
        assert name in ("job", "reason")
    assert named or expression.startswith("up{")
    assert named <= served()
    told = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\bhalo_\w+", told)) <= served()


def test_names_are_their_own() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 18
