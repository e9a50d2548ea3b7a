"""Importing, and every command that needs nobody, asks nothing of the network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.supply.no_network import TRIED

ROOT = Path(__file__).parents[2]
TRACES = ROOT / "tests" / "data" / "tau-airline.jsonl.gz"


def alone(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`no_network.py` in a process of its own, away from the checkout."""
    return subprocess.run(
        [sys.executable, ROOT / "tests" / "supply" / "no_network.py", *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_module_asks_the_network_when_it_is_imported(tmp_path: Path) -> None:
    result = alone(tmp_path, "modules")
    assert result.returncode == 0, result.stderr
    files = len(list((ROOT / "halo_otel").rglob("*.py")))
    assert int(result.stdout) == files - len(["__init__", "__main__"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["serve", "--help"],
        ["config", "defaults"],
        ["config", "check"],
        ["config", "check", "--config", "halo.yaml"],
        ["analyze", "--quiet", TRACES.name],
    ],
    ids=" ".join,
)
def test_no_command_asks_the_network_unless_it_must(tmp_path: Path, arguments: list[str]) -> None:
    shutil.copy(TRACES, tmp_path)
    (tmp_path / "halo.yaml").write_text("window: {length: 60s}\n", encoding="utf-8")
    result = alone(tmp_path, "command", *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_who_asks_the_network_is_found_out(tmp_path: Path) -> None:
    result = alone(tmp_path, "lookup")
    assert result.returncode == TRIED
    assert "socket.getaddrinfo ('localhost', 1" in result.stderr
