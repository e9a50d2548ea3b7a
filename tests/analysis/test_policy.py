"""What an operator says of a detector is what happens."""

import pytest

from halo_otel.config import sections
from halo_otel.model.finding import Finding, Severity
from tests.analysis.conftest import Traffic, report_on


def looping(traffic: Traffic) -> Traffic:
    """Eight of thirty runs search for the same again and again, and fail of it."""
    traffic.healthy(22)
    for _ in range(8):
        run = traffic.run(outcome=False)
        for _ in range(6):
            run.call("search", {"q": "trip"}, "nothing")
    return traffic


def told(traffic: Traffic, **rule: object) -> list[Finding]:
    """The findings with the rule for loops; the others stay as they are."""
    rules = {"loop": sections.DetectorRule.model_validate(rule)}
    settings = sections.Analysis(detectors=rules)
    return list(report_on(looping(traffic).rows, settings).findings)


def loops(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.detector == "loop"]


def test_without_a_word_it_is_told(traffic: Traffic) -> None:
    [loop] = loops(told(traffic))
    assert loop.severity is Severity.ERROR
    assert len(loop.traces) == 8


def test_a_detector_that_is_off_is_not_told_by_another_name(traffic: Traffic) -> None:
    findings = told(traffic, enabled=False)
    assert not [f for f in findings if f.category in ("loop", "redundant_call")]


@pytest.mark.parametrize("worst", ["info", "warn"])
def test_it_is_never_worse_than_it_may_be(traffic: Traffic, worst: str) -> None:
    [loop] = loops(told(traffic, max_severity=worst))
    assert loop.severity.value == worst


@pytest.mark.parametrize("rule", [{"min_rate": 0.9}, {"min_waste": 0.9}])
def test_below_its_thresholds_it_is_not_told(traffic: Traffic, rule: dict[str, float]) -> None:
    assert not loops(told(traffic, **rule))


def test_with_fewer_traces_than_asked_for_it_is_no_pattern(traffic: Traffic) -> None:
    assert [loop.confidence > 0.8 for loop in loops(told(traffic, min_traces=8))] == [True]
    assert all(loop.confidence <= 0.7 for loop in loops(told(Traffic(), min_traces=9)))
