"""The commands that a hand-over prints are commands: each runs as it stands."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from halo_otel.cli.app import app


def test_each_printed_command_runs(
    traces_file: Path, real_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = CliRunner().invoke(app, ["analyze", str(traces_file), "-f", "prompt"])
    assert told.exit_code == 0, told.output
    commands = set(
        re.findall(r"^    halo-otel ((?:diff|analyze) .*after\.jsonl.*)$", told.stdout, re.M)
    )
    assert len(commands) >= 3
    for name in ("before.jsonl", "after.jsonl"):
        shutil.copy(real_file, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for command in sorted(commands):
        result = CliRunner().invoke(app, shlex.split(command))
        assert result.exit_code in (0, 1), f"{command}: {result.output}"
