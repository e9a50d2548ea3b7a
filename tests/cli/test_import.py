"""`import` from servers that speak the real APIs, into files and to a receiver."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from halo_otel.cli.app import app
from halo_otel.errors import ConfigError, NotFound
from halo_otel.importers.files import read_traces
from tests.cli.conftest import Command, Receiver
from tests.importers import exports
from tests.importers.conftest import Site, langfuse, phoenix, told

__all__ = ["langfuse", "phoenix"]  # the fixtures

KEYS = {
    "LANGFUSE_PUBLIC_KEY": "pk-lf-1",
    "LANGFUSE_SECRET_KEY": "sk-lf-2",
    "PHOENIX_API_KEY": "px-3",
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("LANGFUSE_", "PHOENIX_")):
            monkeypatch.delenv(name)
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


def names(path: Path) -> list[str]:
    bad: list[Any] = []
    found = [span.name for span in read_traces([path], bad.append)]
    assert not bad
    return found


def test_from_langfuse_into_a_file(langfuse: Site, tmp_path: Path) -> None:
    out = tmp_path / "traces.jsonl.gz"
    result = run("langfuse", "--url", langfuse.url, "--out", out, "--page-size", 2)
    assert result.exit_code == 0, result.output
    assert result.stdout == "3 spans in 2 pages, 0 of them twice, 0 unreadable\n"
    assert names(out) == ["travel-agent", "plan", "search_flights"]


def test_from_phoenix_to_a_receiver(phoenix: Site, grpc_receiver: Receiver, tmp_path: Path) -> None:
    phoenix.spans = [*phoenix.spans, {**phoenix.spans[0], "end_time": "\x1b[2J"}]
    grpc_receiver.answers = ["partial"]
    result = run(
        *("phoenix", "--url", phoenix.url, "--project", "my project", "--page-size", 1),
        *("--endpoint", grpc_receiver.endpoint, "--since", "2026-01-01", "--session", "chat-42"),
    )
    assert result.exit_code == 0, result.output
    assert [span.name for span in grpc_receiver.spans] == ["ChatCompletion", "search_flights"]
    assert "1 unreadable" in result.stdout
    assert "skipped: " in result.stderr
    assert "\x1b" not in result.output
    assert phoenix.asked[0][1]["start_time"] == ["2026-01-01T00:00:00.000Z"]


def test_a_refused_request_makes_the_command_fail(phoenix: Site, grpc_receiver: Receiver) -> None:
    grpc_receiver.answers = ["INVALID_ARGUMENT"]
    result = run(
        *("phoenix", "--url", phoenix.url, "--project", "my project"),
        *("--endpoint", grpc_receiver.endpoint),
    )
    assert result.exit_code == 1


def test_interrupted_and_resumed(langfuse: Site, tmp_path: Path) -> None:
    out, state = tmp_path / "traces.jsonl", tmp_path / "state.json"
    arguments = ("langfuse", "--url", langfuse.url, "--out", out, "--resume", state)
    answer = langfuse.answer
    langfuse.answer = lambda site, path, query: (
        (410, {}, b"gone for now") if "cursor" in query else answer(site, path, query)
    )
    broken = run(*arguments, "--page-size", 1)
    assert broken.exception is not None
    assert names(out) == ["travel-agent"]
    langfuse.answer = answer
    result = run(*arguments, "--page-size", 2)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("2 spans in 1 pages")
    assert names(out) == ["travel-agent", "plan", "search_flights"]
    first, last = langfuse.asked[0][1]["filter"], langfuse.asked[-1][1]["filter"]
    assert first == last  # the end of what is asked for stays where it was
    assert "sk-lf-2" not in state.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["pk-lf-1:sk-lf-2\n", "pk-lf-1\nsk-lf-2"])
def test_keys_from_a_file(
    langfuse: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    key_file = tmp_path / "key"
    key_file.write_text(content, encoding="utf-8")
    out = tmp_path / "out.jsonl"
    result = run("langfuse", "--url", langfuse.url, "--out", out, "--key-file", key_file)
    assert result.exit_code == 0, result.output
    assert len(names(out)) == 3


@pytest.mark.parametrize("content", ["", "pk-lf-1", "ключ", "a\x00b:c"])
def test_what_is_no_key(langfuse: Site, tmp_path: Path, content: str) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(content, encoding="utf-8")
    arguments = ("--url", langfuse.url, "--out", tmp_path / "out", "--key-file", key_file)
    assert isinstance(run("langfuse", *arguments).exception, ConfigError)
    assert not langfuse.asked


@pytest.mark.parametrize("where", [(), ("--out", "x", "--endpoint", "localhost:1")])
def test_it_must_be_clear_where_to(langfuse: Site, where: tuple[str, ...]) -> None:
    refused = run("langfuse", "--url", langfuse.url, *where).exception
    assert isinstance(refused, ConfigError)
    assert "--out FILE or --endpoint" in str(refused)


def test_errors_are_told_without_a_traceback(
    command: Command, phoenix: Site, tmp_path: Path
) -> None:
    phoenix.first = [told("\x1b[2Jno such project", 404)]
    result = command(*("import", "phoenix", "--url", phoenix.url, "--out", tmp_path / "out.jsonl"))
    assert result.returncode == 1
    assert "no such project" in result.stderr
    assert "\x1b" not in result.stderr
    assert "Traceback" not in result.stderr
    missing = command("import", "langfuse", "--out", "x", environ={"LANGFUSE_SECRET_KEY": ""})
    assert missing.returncode == 2
    assert "LANGFUSE_SECRET_KEY must be set" in missing.stderr


def test_another_project_is_not_found(phoenix: Site, tmp_path: Path) -> None:
    result = run("phoenix", "--url", phoenix.url, "--out", tmp_path / "out")
    assert isinstance(result.exception, NotFound)
    assert "Project not found" in str(result.exception)


def test_an_export_is_analysed_and_replayed(
    command: Command, grpc_receiver: Receiver, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    trees = [exports.LANGFUSE_TRACE, *exports.LANGFUSE_V2, *exports.PHOENIX, {"nothing": 1}]
    path.write_text(json.dumps(trees, indent=1), encoding="utf-8")
    analysed = command("analyze", path)
    assert analysed.returncode == 0, analysed.stderr
    assert f"{path}:7: skipped: neither resourceSpans" in analysed.stderr
    assert "Traceback" not in analysed.stderr
    replayed = command("replay", path, "--endpoint", grpc_receiver.endpoint)
    assert replayed.stdout.startswith("7 spans accepted, 0 rejected")
    assert {span.name for span in grpc_receiver.spans} >= {"plan", "ChatCompletion"}
