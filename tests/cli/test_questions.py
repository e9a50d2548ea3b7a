"""The commands that ask a running service, against a real one."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from halo_otel.cli.app import app
from halo_otel.errors import BadRequest, NotFound, Unreachable
from halo_otel.reports import contract, markdown
from tests.cli.conftest import FINDINGS, NASTY, NODES, REPORT, SPAN, TRACE

HIGH, LOW = FINDINGS


def ask(endpoint: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--endpoint", endpoint], catch_exceptions=True)


def told(endpoint: str, *arguments: str) -> str:
    result = ask(endpoint, *arguments)
    assert result.exit_code == 0, result.output
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.stdout)
    return result.stdout


def test_findings_as_a_table(endpoint: str) -> None:
    text = told(endpoint, "findings")
    assert text.index(HIGH.fingerprint) < text.index(LOW.fingerprint)
    assert "[red]boo[/red]" in text
    assert ":bomb:" in text
    assert "1 of 9 traces (11 %)" in text


def test_findings_by_filter(endpoint: str) -> None:
    for filters in (
        ["--severity", "warn"],
        ["--severity", "warn", "--status", "new", "--limit", "1"],
    ):
        text = told(endpoint, "findings", *filters)
        assert LOW.fingerprint in text
        assert HIGH.fingerprint not in text
    assert told(endpoint, "findings", "--service", "nobody") == "No findings.\n"
    assert told(endpoint, "findings", "--status", "resolved") == "No findings.\n"


def test_findings_as_json_are_the_contract(endpoint: str) -> None:
    found = json.loads(told(endpoint, "findings", "--format", "json"))
    assert [f["fingerprint"] for f in found] == [HIGH.fingerprint, LOW.fingerprint]
    assert found[0]["title"] == HIGH.title


def test_what_a_model_said_that_did_not_hold(endpoint: str) -> None:
    for format_ in ("table", "markdown", "json"):
        text = told(endpoint, "findings", "--dropped", "--format", format_)
        assert text.index("newer") < text.index("older")
        assert "small-1" in text
        assert "2J" in text
    found = json.loads(told(endpoint, "findings", "--dropped", "-f", "json", "--limit", "1"))
    assert [one["subject"]["tool"] for one in found] == ["search"]
    assert found[0]["reason"] == "quote_not_found"
    assert found[0]["cluster"] == HIGH.fingerprint


@pytest.mark.parametrize("filters", [["--all"], ["--severity", "warn"], ["--service", "travel"]])
def test_filters_of_findings_are_none_of_dropped_claims(endpoint: str, filters: list[str]) -> None:
    assert ask(endpoint, "findings", "--dropped", *filters).exit_code == 2


def test_one_finding_by_the_beginning_of_its_fingerprint(endpoint: str) -> None:
    text = told(endpoint, "finding", HIGH.fingerprint[:12])
    assert HIGH.fingerprint in text
    assert SPAN in text
    assert isinstance(ask(endpoint, "finding", "fpv1:").exception, BadRequest)
    assert isinstance(ask(endpoint, "finding", "fpv1:zz").exception, NotFound)


def test_mute_and_unmute(endpoint: str) -> None:
    muted = told(endpoint, "mute", LOW.fingerprint, "--for", "12h", "--reason", "known")
    assert muted.startswith("muted: low")
    assert LOW.fingerprint not in told(endpoint, "findings")
    assert LOW.fingerprint in told(endpoint, "findings", "--all")
    assert told(endpoint, "unmute", LOW.fingerprint).startswith("new: low")
    assert LOW.fingerprint in told(endpoint, "findings")


def test_a_bad_duration_is_a_usage_error(endpoint: str) -> None:
    result = ask(endpoint, "mute", LOW.fingerprint, "--for", "soon")
    assert result.exit_code == 2


def test_windows_and_traces(endpoint: str) -> None:
    assert re.search(
        r"2025-11-21T01:53:20Z +2025-11-21T01:58:20Z +sealed +81 +2 +23 +4,096",
        told(endpoint, "windows"),
    )
    for arguments in (["traces"], ["traces", "--window", "2025-11-21T01:53:20Z"]):
        text = told(endpoint, *arguments)
        assert TRACE in text
        assert "1,530" in text
        assert "[red]boo[/red]" in text
    assert TRACE not in told(endpoint, "traces", "--window", "2025-11-21 01:53:21")


def test_a_tree_is_drawn_with_its_verdicts(endpoint: str) -> None:
    lines = told(endpoint, "tree", TRACE).splitlines()
    assert re.fullmatch("book a flight +1.5 s  530 tokens +correctness recovered", lines[0])
    assert lines[1].startswith("└─ [red]boo[/red]")
    assert "(booking)" in lines[1]
    assert re.fullmatch(f"      └─ first turn +1.5 s +{SPAN}  correctness bad", lines[3])
    assert len({line.index("1.5 s") for line in lines}) == 1
    assert len(lines) == len(NODES)


def test_a_session_is_drawn_like_a_trace(endpoint: str) -> None:
    assert told(endpoint, "tree", "--session", "s 1") == told(endpoint, "tree", TRACE)
    assert isinstance(ask(endpoint, "tree", "--session", "nobody").exception, NotFound)
    for wrong in (["tree"], ["tree", TRACE, "--session", "s 1"]):
        assert isinstance(ask(endpoint, *wrong).exception, BadRequest)


def test_a_tree_as_json(endpoint: str) -> None:
    nodes = json.loads(told(endpoint, "tree", TRACE, "--format", "json"))
    assert [node["parent"] for node in nodes] == [-1, 0, 1, 2]
    assert nodes[1]["name"] == NASTY
    assert nodes[3]["correctness"] == "bad"


def test_an_unknown_trace(endpoint: str) -> None:
    assert isinstance(ask(endpoint, "tree", "f" * 32).exception, NotFound)


@pytest.mark.parametrize("now", [[], ["--now"]])
def test_the_report(endpoint: str, tmp_path: Path, now: list[str]) -> None:
    assert told(endpoint, "report", *now, "--format", "json") == contract.render(REPORT) + "\n"
    out = tmp_path / "report.md"
    assert told(endpoint, "report", *now, "--out", str(out)) == ""
    assert out.read_text(encoding="utf-8") == markdown.render(REPORT)


def test_status(endpoint: str) -> None:
    text = told(endpoint, "status")
    assert text.splitlines()[0] == "halo-otel 0.1.0, ready"
    assert "halo.findings.open{severity=warn}  2" in text


def test_the_endpoint_comes_from_the_configuration(endpoint: str, tmp_path: Path) -> None:
    file = tmp_path / "halo.yaml"
    file.write_text(
        f'receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "{endpoint}"}}}}}}}}',
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, ["windows", "--config", str(file)])
    assert result.exit_code == 0
    assert "sealed" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [["findings"], ["windows"], ["traces"], ["tree", TRACE], ["report"], ["status"], ["watch"]],
)
def test_without_a_service_every_question_says_what_to_do(
    nobody: str, arguments: list[str]
) -> None:
    error = ask(nobody, *arguments).exception
    assert isinstance(error, Unreachable)
    assert "halo-otel serve" in str(error)
