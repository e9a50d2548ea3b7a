"""The README tells no lies that a machine can find."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from halo_otel.cli.app import app
from halo_otel.otlp import names
from halo_otel.selfobs import HELP

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    {command.name for command in app.registered_commands if command.name}
    | {f"{group.name} " for group in app.registered_groups if group.name}
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_listed(command: str) -> None:
    table = README.partition("## Commands")[2].partition("## ")[0]
    assert re.search(rf"`(halo-otel )?{command}", table)


def test_every_command_named_exists() -> None:
    known = {command.strip() for command in COMMANDS}
    assert {*re.findall(r"`halo-otel (\w+)", README)} <= known


def test_every_emitted_name_exists() -> None:
    emitted = {value for value in vars(names).values() if isinstance(value, str)} | HELP.keys()
    example = README.partition("## What comes back")[2].partition("## How it works")[0]
    named = re.findall(r"\bhalo\.[a-z_]+(?:\.[a-z_]+)*", example)
    assert named
    assert set(named) <= emitted


def test_every_target_of_the_makefile_that_is_named_exists() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z]+)", README, re.MULTILINE)) <= set(targets)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.collector
def test_the_exporter_to_paste_is_valid(tmp_path: Path, collector_binary: Path) -> None:
    """Into a Collector that has an OTLP receiver, as the text says."""
    [block] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert "otlp_grpc/halo" in yaml.safe_load(block)["exporters"]
    path = tmp_path / "pasted.yaml"
    path.write_text(block + "\nreceivers: {otlp: {protocols: {grpc: {}}}}\n", encoding="utf-8")
    command = [str(collector_binary), "validate", f"--config={path}"]
    judged = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert judged.returncode == 0, judged.stderr
