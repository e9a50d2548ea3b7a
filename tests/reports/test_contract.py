"""The report contract, against its schema and letter by letter."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo_otel.model.finding import CATEGORIES, Role, Severity, Status
from halo_otel.model.report import Report
from halo_otel.reports import contract

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "report.schema.json").read_text(encoding="utf-8"))
# One set of bytes is looked at with many texts: the fixture is frozen.
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_it_is_the_golden_text(report: Report) -> None:
    golden = (HERE / "golden" / "report.json").read_text(encoding="utf-8")
    assert contract.render(report) + "\n" == golden


def test_it_fits_the_schema(report: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(contract.render(report)), SCHEMA)


def test_an_empty_report_fits_the_schema(report: Report) -> None:
    empty = json.loads(contract.render(replace(report, findings=())))
    jsonschema.validate(empty, SCHEMA)
    assert empty["findings"] == []


def test_every_word_of_the_model_is_in_the_schema() -> None:
    finding = SCHEMA["$defs"]["finding"]["properties"]
    assert finding["category"]["enum"] == list(CATEGORIES)
    assert finding["severity"]["enum"] == [severity.value for severity in Severity]
    assert finding["status"]["enum"] == [status.value for status in Status]
    roles = finding["evidence"]["items"]["properties"]["role"]["enum"]
    assert roles == [role.value for role in Role]


def test_the_list_of_findings_is_the_reports(report: Report) -> None:
    alone = json.loads(contract.render_findings(report.findings))
    assert alone == json.loads(contract.render(report))["findings"]


@many
@given(title=st.text(st.characters()))
def test_any_text_comes_back_and_no_terminal_obeys_it(report: Report, title: str) -> None:
    finding = replace(report.findings[0], title=title)
    text = contract.render(replace(report, findings=(finding,)))
    assert json.loads(text)["findings"][0]["title"] == title
    assert text.encode().decode() == text
    assert not any(c in text for c in "\x1b\x9b\x07\x08\r\u202e\u2066\u2028")


@pytest.mark.parametrize("order", [["b", "a"], ["a", "b"]])
def test_the_order_of_attributes_does_not_show(report: Report, order: list[str]) -> None:
    finding = report.findings[0]
    subject = replace(finding.subject, attributes={key: key for key in order})
    text = contract.render(replace(report, findings=(replace(finding, subject=subject),)))
    assert text.index('"a": "a"') < text.index('"b": "b"')
