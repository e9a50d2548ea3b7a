"""`analyze` and `tree --from`: files in, a report out, without a service."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
import typer.main
from typer.testing import CliRunner

from halo_otel.cli.analyze import BAD_LINES_SHOWN, FailOn, fails
from halo_otel.cli.app import app
from halo_otel.cli.reporting import write_report
from halo_otel.config.sections import Analysis
from halo_otel.demo import bundled
from halo_otel.errors import BadFile
from halo_otel.importers.files import BadLine
from halo_otel.model.finding import Severity, Status
from halo_otel.model.report import Report
from halo_otel.reports import markdown
from halo_otel.service.offline import analyze_files
from tests.cli.conftest import REAL, REPORT, Command

ANALYZE = typer.main.get_command(app).commands["analyze"]  # type: ignore[attr-defined]
CaptureBytes: TypeAlias = pytest.CaptureFixture[bytes]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `report` has its temporary files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def report(traces_file: Path, scratch: Path) -> Report:
    """What one analysis of `traces_file` finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(scratch))
        return analyze_files([traces_file], Analysis(), lambda read: None, lambda bad: None)


@pytest.fixture(scope="module")
def told(traces_file: Path) -> str:
    """What `analyze` says of it to programs."""
    result = CliRunner().invoke(app, ["analyze", str(traces_file), "--format", "json"])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_planted_loop_is_found(told: str) -> None:
    report = json.loads(told)
    assert report["schema"] == "halo.report/v1"
    assert report["window"]["settled"] == report["window"]["traces"] > 0
    loops = [f for f in report["findings"] if f["category"] == "loop"]
    assert [loop["subject"]["tool"] for loop in loops] == ["search_flights"]
    assert loops[0]["traces"]


def test_several_files_are_one_window(traces_file: Path, real_file: Path, report: Report) -> None:
    progress: list[int] = []
    bad: list[BadLine] = []
    both = analyze_files([traces_file, real_file], Analysis(), progress.append, bad.append)
    assert bad == []
    assert both.window.traces > report.window.traces
    assert set(report.window.services) < set(both.window.services)
    assert progress[-1] >= both.window.spans


def test_spans_that_are_there_twice_count_once(traces_file: Path, report: Report) -> None:
    twice = analyze_files([traces_file] * 2, Analysis(), lambda read: None, lambda bad: None)
    assert twice == report


def test_bad_lines_are_named_counted_and_skipped(real_file: Path, tmp_path: Path) -> None:
    good = real_file.read_bytes().splitlines()
    lines = [*good[:3], *[b"{broken \x1b[2J"] * (BAD_LINES_SHOWN + 5), *good[3:]]
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"\n".join(lines))
    result = CliRunner().invoke(app, ["analyze", str(path), "--format", "json"])
    assert result.exit_code == 0
    assert result.stderr.count(": skipped: ") == BAD_LINES_SHOWN
    assert f"{path}:4: skipped" in result.stderr
    assert f"{BAD_LINES_SHOWN + 5} bad lines" in result.stderr
    assert "\x1b" not in result.stderr
    whole = CliRunner().invoke(app, ["analyze", str(real_file), "--format", "json"])
    assert result.stdout == whole.stdout
    quiet = CliRunner().invoke(app, ["analyze", str(path), "--quiet"])
    assert quiet.stderr == ""


def test_the_same_input_gives_the_same_bytes_in_a_file(
    traces_file: Path, told: str, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    # Nothing has regressed where there is nothing to compare with.
    arguments = ["-f", "json", "--out", str(out), "--quiet", "--fail-on", "regressed"]
    result = CliRunner().invoke(app, ["analyze", str(traces_file), *arguments])
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads(told)["findings"]
    assert out.read_text(encoding="utf-8") == told


@pytest.mark.parametrize(
    ("format_", "begins"),
    [("html", "<!doctype html>"), ("sarif", "{"), ("json", "{"), ("markdown", "# ")],
)
def test_every_format_tells_the_same_findings(
    report: Report, tmp_path: Path, capsysbinary: CaptureBytes, format_: str, begins: str
) -> None:
    out = tmp_path / "report"
    with ANALYZE.make_context("analyze", ["traces", "-f", format_, "-o", str(out)]) as context:
        given = context.params
    write_report(report, given["format_"], given["out"])
    written = out.read_text(encoding="utf-8")
    assert written.startswith(begins)
    assert written.endswith("\n")
    assert report.findings
    assert all(finding.fingerprint in written for finding in report.findings)
    write_report(report, given["format_"], None)
    assert capsysbinary.readouterr().out.decode() == written


def test_what_is_no_trace_file_is_named(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello", encoding="utf-8")
    result = command("analyze", path)
    assert result.returncode == 1
    assert str(path) in result.stderr
    assert "Traceback" not in result.stderr
    with pytest.raises(BadFile):
        analyze_files([tmp_path / "none"], Analysis(), lambda read: None, lambda bad: None)


def test_temporary_files_are_gone_afterwards(report: Report, scratch: Path) -> None:
    assert report.window.traces
    assert list(scratch.iterdir()) == []


def test_fail_on_makes_a_build_fail(command: Command, traces_file: Path, report: Report) -> None:
    failed = command("analyze", traces_file, "-q", "--fail-on", "warn")
    assert (failed.returncode, failed.stderr) == (1, "")
    # Another process says the same, to the byte.
    assert failed.stdout == markdown.render(report)
    assert failed.stdout.startswith("# What goes wrong in your agents")


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


def test_a_tree_from_files(command: Command, main_here: Command, real_file: Path) -> None:
    trace_id = next(bundled.traces("intercode-sql"))[0].trace_id
    drawn = command("tree", trace_id, "--from", REAL)
    assert drawn.returncode == 0, drawn.stderr
    assert "└─ " in drawn.stdout
    nodes = json.loads(main_here("tree", trace_id, "--from", real_file, "-f", "json").stdout)
    assert {node["level"] for node in nodes} >= {0, 1, 2, 3}
    whole = main_here("tree", trace_id, "--from", real_file, "--all")
    assert len(whole.stdout.splitlines()) == len(nodes) > len(drawn.stdout.splitlines())
    nobody = main_here("tree", "--session", "nobody", "--from", real_file)
    assert "no file given holds a trace of session 'nobody'" in nobody.stderr
    missing = main_here("tree", "f" * 32, "--from", real_file)
    assert missing.returncode == 1
    assert "no file given holds" in missing.stderr
