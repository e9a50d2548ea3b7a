"""SARIF: its shape, what it says of a finding, and that a stranger's text stays text in a message."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo_otel.model.explained import EXPLAINED
from halo_otel.model.finding import CATEGORIES, Severity, Status, Subject
from halo_otel.model.report import Report
from halo_otel.reports import sarif

SCHEMA = json.loads((Path(__file__).parent / "sarif.schema.json").read_text(encoding="utf-8"))
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def run(report: Report) -> Any:
    """The one run of `report`, its shape checked."""
    log = json.loads(sarif.render(report, "1.2.3"))
    jsonschema.validate(log, SCHEMA)
    [only] = log["runs"]
    return only


def test_a_finding_is_a_result_of_its_detectors_rule(report: Report) -> None:
    told = run(report)
    rules = told["tool"]["driver"]["rules"]
    assert told["tool"]["driver"]["semanticVersion"] == "1.2.3"
    assert len(told["results"]) == len(report.findings)
    for result, finding in zip(told["results"], report.findings, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.detector
        assert result["fingerprints"] == {"halo/v1": finding.fingerprint}
        assert result["properties"]["traceIds"] == list(finding.traces)
        spans = [one["properties"]["spanId"] for one in result["relatedLocations"]]
        assert spans == [evidence.span_id for evidence in finding.evidence]


def test_the_subject_is_a_logical_location_from_the_outside_in(report: Report) -> None:
    [location] = run(report)["results"][0]["locations"]
    names = [part["fullyQualifiedName"] for part in location["logicalLocations"]]
    assert names == ["travel", "travel/booking", "travel/booking/search_flights"]
    about_all = replace(report.findings[0], subject=Subject())
    [location] = run(replace(report, findings=(about_all,)))["results"][0]["locations"]
    assert location["logicalLocations"]


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("severity", Severity)
def test_every_status_and_severity_has_its_word(
    report: Report, status: Status, severity: Severity
) -> None:
    finding = replace(report.findings[0], status=status, severity=severity)
    [result] = run(replace(report, findings=(finding,)))["results"]
    assert (result["baselineState"] == "absent") is (status is Status.RESOLVED)
    assert (result["baselineState"] == "new") is (status in (Status.NEW, Status.REGRESSED))
    assert bool(result["suppressions"]) is (status is Status.MUTED)
    assert (result["level"] == "error") is (severity in (Severity.ERROR, Severity.FATAL))


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_detector_is_a_rule_that_explains_itself(report: Report, name: str) -> None:
    finding = replace(report.findings[0], detector=name)
    [rule] = run(replace(report, findings=(finding,)))["tool"]["driver"]["rules"]
    explained = EXPLAINED[name]
    assert explained.means in rule["help"]["markdown"]
    assert explained.category in CATEGORIES


def test_who_abstained_is_told(report: Report) -> None:
    [invocation] = run(report)["invocations"]
    [note] = invocation["toolExecutionNotifications"]
    assert note["descriptor"]["id"] == "retry_storm"
    silent = replace(report, coverage=replace(report.coverage, detectors_abstained=()))
    assert run(silent)["invocations"] == [{"executionSuccessful": True}]


def read(message: str) -> str:
    """What a SARIF viewer shows of a message (§3.11.5, §3.11.6); fails where it finds more than text."""
    assert not re.search(r"(?<!\\)(?:\\\\)*\[", message), "a link may begin here"
    assert not re.search(r"(?<!\{)(?:\{\{)*\{(?!\{)", message), "a placeholder begins here"
    shown = message.replace("{{", "{").replace("}}", "}")
    return re.sub(r"\\([\\\[\]])", r"\1", shown)


@many
@given(title=st.text(st.characters()) | st.text("[]{}()\\0a"))
def test_any_text_is_only_shown(report: Report, title: str) -> None:
    finding = replace(report.findings[0], title=title, summary="s", recommendation="r")
    text = sarif.render(replace(report, findings=(finding,)), "1")
    [result] = json.loads(text)["runs"][0]["results"]
    assert read(result["message"]["text"]) == f"{title}\ns\nDo: r"
    assert not any(c in text for c in "\x1b\x9b\x07\u202e\u2028")


def test_an_empty_report_is_valid(report: Report) -> None:
    assert run(replace(report, findings=()))["results"] == []
