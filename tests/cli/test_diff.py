"""`diff` and `analyze --baseline`: before and after a change, from files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from halo_otel.cli.app import app
from halo_otel.clock import NS_PER_S
from halo_otel.demo.faults import Fault, FaultKind
from halo_otel.demo.traffic import generate
from halo_otel.errors import BadFile
from halo_otel.otlp.encode import requests
from halo_otel.reports import contract, reading
from tests.cli.conftest import REPORT, START_NS, Command

LOOP = Fault(
    kind=FaultKind.EXACT_LOOP,
    service="travel-assistant",
    agent="flights",
    tool="search_flights",
    rate=0.6,
)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same agents without a fault and with one, and their reports."""
    folder = tmp_path_factory.mktemp("sides")
    paths = {}
    for name, faults in (("clean", ()), ("loops", (LOOP,))):
        traffic = generate(
            seed="diff", runs=40, start_ns=START_NS, duration_ns=600 * NS_PER_S, faults=faults
        )
        path = folder / f"{name}.binpb"
        path.write_bytes(b"".join(len(r).to_bytes(4, "big") + r for r in requests(traffic.spans)))
        paths[name] = path
        report = folder / f"{name}.json"
        result = CliRunner().invoke(
            app, ["analyze", str(path), "-q", "-f", "json", "-o", str(report)]
        )
        assert result.exit_code == 0, result.output
        paths[f"{name} report"] = report
    return paths


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    return result.exit_code, result.stdout


@pytest.mark.parametrize("kind", ["", " report"])
def test_what_broke_fails_the_build_and_the_way_back_is_a_fix(
    sides: dict[str, Path], kind: str
) -> None:
    clean, loops = sides[f"clean{kind}"], sides[f"loops{kind}"]
    code, out = run("diff", clean, loops, "-q", "-f", "json", "--fail-on", "regressed")
    told = json.loads(out)
    assert code == 1
    assert (told["schema"], told["regressed"]) == ("halo.diff/v1", True)
    assert "new" in [one["change"] for one in told["findings"] if one["breaks"]]
    code, out = run("diff", loops, clean, "-q", "-f", "json", "--fail-on", "regressed")
    told = json.loads(out)
    assert code == 0
    assert "fixed" in [one["change"] for one in told["findings"]]


def test_a_file_against_itself_shows_nothing(traces_file: Path) -> None:
    code, out = run("diff", traces_file, traces_file, "-q", "--fail-on", "new")
    assert code == 0
    assert "No regression: no change that luck would not explain." in out
    assert "## As before" in out
    assert out == run("diff", traces_file, traces_file, "-q")[1]


def test_people_read_what_to_do(sides: dict[str, Path]) -> None:
    _, out = run("diff", sides["clean"], sides["loops"], "-q")
    assert out.startswith("# What changed\n\n**Regressed: ")
    assert "## New" in out
    assert "flights" in out
    assert "  Do: " in out
    assert "## Figures" in out


@pytest.mark.parametrize(("baseline", "fail_on"), [("clean", "regressed"), ("clean report", "new")])
def test_analyze_with_a_baseline(sides: dict[str, Path], baseline: str, fail_on: str) -> None:
    arguments = ("analyze", sides["loops"], "-q", "-f", "json", "--baseline", sides[baseline])
    code, out = run(*arguments, "--fail-on", fail_on)
    flights = [one for one in json.loads(out)["findings"] if one["subject"]["agent"] == "flights"]
    assert code == 1
    assert "new" in [one["status"] for one in flights]


def test_what_was_there_before_does_not_fail_the_build(sides: dict[str, Path]) -> None:
    arguments = ("analyze", sides["loops"], "-q", "-f", "json", "--baseline", sides["loops report"])
    code, out = run(*arguments, "--fail-on", "new")
    assert code == 0
    assert {one["status"] for one in json.loads(out)["findings"]} == {"ongoing"}


def test_what_is_neither_is_named(command: Command, sides: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"schema": "halo.report/v1", "findings": [', encoding="utf-8")
    result = command("diff", sides["clean report"], broken)
    assert result.returncode == 1
    assert str(broken) in result.stderr
    assert "Traceback" not in result.stderr


def test_a_report_read_back_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(contract.render(REPORT), encoding="utf-8")
    assert reading.is_report(path)
    assert contract.render(reading.read(path)) == contract.render(REPORT)
    path.write_text(contract.render(REPORT).replace("report/v1", "report/v9"), encoding="utf-8")
    assert not reading.is_report(path)
    with pytest.raises(BadFile, match="this version reads"):
        reading.read(path)
