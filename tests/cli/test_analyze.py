"""`analyze` and `tree --from`: files in, a report out, without a service."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from halo_otel.cli.analyze import BAD_LINES_SHOWN, FailOn, fails
from halo_otel.cli.app import app
from halo_otel.config.sections import Analysis
from halo_otel.demo import bundled
from halo_otel.errors import BadFile
from halo_otel.importers.files import BadLine
from halo_otel.model.finding import Severity, Status
from halo_otel.model.report import Report
from halo_otel.service.offline import analyze_files
from tests.cli.conftest import REPORT, Command

REAL = Path(bundled.__file__).parent / "traces" / "intercode-sql.jsonl.gz"


@pytest.fixture(scope="module")
def report(traces_file: Path) -> Report:
    """What one analysis of `traces_file` finds."""
    return analyze_files([traces_file], Analysis(), lambda read: None, lambda bad: None)


def test_a_planted_loop_is_found(traces_file: Path) -> None:
    result = CliRunner().invoke(app, ["analyze", str(traces_file), "--format", "json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["schema"] == "halo.report/v1"
    assert report["window"]["settled"] == report["window"]["traces"] > 0
    loops = [f for f in report["findings"] if f["category"] == "loop"]
    assert [loop["subject"]["tool"] for loop in loops] == ["search_flights"]
    assert loops[0]["traces"]


def test_the_same_input_gives_the_same_bytes(traces_file: Path) -> None:
    reports = [CliRunner().invoke(app, ["analyze", str(traces_file)]).stdout for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].startswith("# What goes wrong in your agents")


def test_several_files_are_one_window(traces_file: Path, report: Report) -> None:
    progress: list[int] = []
    bad: list[BadLine] = []
    both = analyze_files([traces_file, REAL], Analysis(), progress.append, bad.append)
    assert bad == []
    assert both.window.traces > report.window.traces
    assert set(report.window.services) < set(both.window.services)
    assert progress[-1] >= both.window.spans


def test_spans_that_are_there_twice_count_once(traces_file: Path, report: Report) -> None:
    twice = analyze_files([traces_file] * 2, Analysis(), lambda read: None, lambda bad: None)
    assert twice == report


def test_bad_lines_are_named_counted_and_skipped(tmp_path: Path) -> None:
    good = gzip.decompress(REAL.read_bytes()).splitlines()
    lines = [*good[:3], *[b"{broken \x1b[2J"] * (BAD_LINES_SHOWN + 5), *good[3:]]
    path = tmp_path / "some.jsonl"
    path.write_bytes(b"\n".join(lines))
    result = CliRunner().invoke(app, ["analyze", str(path), "--format", "json"])
    assert result.exit_code == 0
    assert result.stderr.count(": skipped: ") == BAD_LINES_SHOWN
    assert f"{path}:4: skipped" in result.stderr
    assert f"{BAD_LINES_SHOWN + 5} bad lines" in result.stderr
    assert "\x1b" not in result.stderr
    whole = CliRunner().invoke(app, ["analyze", str(REAL), "--format", "json"])
    assert result.stdout == whole.stdout
    quiet = CliRunner().invoke(app, ["analyze", str(path), "--quiet"])
    assert quiet.stderr == ""


def test_a_report_goes_into_a_file(traces_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    result = CliRunner().invoke(
        app, ["analyze", str(traces_file), "-f", "json", "--out", str(out), "--quiet"]
    )
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads(out.read_text(encoding="utf-8"))["findings"]


@pytest.mark.parametrize(
    ("format_", "begins"),
    [("html", "<!doctype html>"), ("sarif", "{"), ("json", "{"), ("markdown", "# ")],
)
def test_every_format_tells_the_same_findings(
    traces_file: Path, report: Report, tmp_path: Path, format_: str, begins: str
) -> None:
    out = tmp_path / "report"
    arguments = ["analyze", str(traces_file), "-q", "-f", format_, "-o", str(out)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    written = out.read_text(encoding="utf-8")
    assert written.startswith(begins)
    assert written.endswith("\n")
    assert report.findings
    assert all(finding.fingerprint in written for finding in report.findings)
    assert CliRunner().invoke(app, arguments[:-2]).stdout == written


def test_what_is_no_trace_file_is_named(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello", encoding="utf-8")
    result = command("analyze", path)
    assert result.returncode == 1
    assert str(path) in result.stderr
    assert "Traceback" not in result.stderr
    with pytest.raises(BadFile):
        analyze_files([tmp_path / "none"], Analysis(), lambda read: None, lambda bad: None)


def test_temporary_files_are_gone_afterwards(
    traces_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    analyze_files([traces_file], Analysis(), lambda read: None, lambda bad: None)
    assert list(scratch.iterdir()) == []


def test_fail_on_makes_a_build_fail(command: Command, traces_file: Path) -> None:
    clean = command("analyze", traces_file, "-q")
    assert (clean.returncode, clean.stderr) == (0, "")
    assert command("analyze", traces_file, "-q", "--fail-on", "warn").returncode == 1
    assert command("analyze", traces_file, "-q", "--fail-on", "regressed").returncode == 0


@pytest.mark.parametrize("fail_on", FailOn)
def test_what_fails(fail_on: FailOn) -> None:
    severities = {FailOn.WARN: "warn error fatal", FailOn.ERROR: "error fatal"}
    for severity in Severity:
        for status in Status:
            finding = replace(REPORT.findings[0], severity=severity, status=status)
            expected = (
                severity.value in severities[fail_on].split()
                if fail_on in severities
                else status.value == fail_on.value
            )
            assert fails(replace(REPORT, findings=(finding,)), fail_on) is expected
    assert not fails(replace(REPORT, findings=()), fail_on)


def test_a_tree_from_files(command: Command) -> None:
    trace_id = next(bundled.traces("intercode-sql"))[0].trace_id
    drawn = command("tree", trace_id, "--from", REAL)
    assert drawn.returncode == 0, drawn.stderr
    assert "└─ " in drawn.stdout
    nodes = json.loads(command("tree", trace_id, "--from", REAL, "-f", "json").stdout)
    assert {node["level"] for node in nodes} >= {0, 1, 2, 3}
    whole = command("tree", trace_id, "--from", REAL, "--all")
    assert len(whole.stdout.splitlines()) == len(nodes) > len(drawn.stdout.splitlines())
    nobody = command("tree", "--session", "nobody", "--from", REAL)
    assert "no file given holds a trace of session 'nobody'" in nobody.stderr
    missing = command("tree", "f" * 32, "--from", REAL)
    assert missing.returncode == 1
    assert "no file given holds" in missing.stderr
