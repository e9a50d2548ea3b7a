"""`analyze` with a model behind a real endpoint: what it adds, what is told meanwhile, and that it may fail."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner, Result

from halo_otel.cli.app import app
from halo_otel.cli.live import Live
from halo_otel.cli.model import telemetry_of
from halo_otel.errors import Rejected
from halo_otel.recursion.progress import Began, Claimed, Ended, Looked, Wrote
from tests.cli.conftest import NASTY
from tests.llm.analyst import STATEMENT, analyst
from tests.llm.server import MODEL, Reply, Script, Scripted, status

Json = dict[str, Any]

QUESTION = "What do they do?"


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what was sent and answered is kept."""
    monkeypatch.setenv("HALO_STORAGE_DIRECTORY", str(tmp_path / "storage"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "storage"


async def analyze(script: Reply | Script, *arguments: str) -> tuple[Result, Scripted]:
    async with Scripted(script) as server:
        base_url = server.settings().base_url
        command = ["analyze", *arguments, "-m", MODEL, "--base-url", base_url]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
    return result, server


@dataclass(frozen=True)
class Run:
    """One `analyze` in a storage directory of its own, and what the model was asked in it."""

    result: Result
    server: Scripted
    storage: Path


@pytest.fixture(scope="module")
def asked(traces_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With a question, and the model's own work told to `own.jsonl` beside the storage."""
    folder = tmp_path_factory.mktemp("asked")
    own = str(folder / "own.jsonl")
    arguments = (str(traces_file), "-p", QUESTION, "--telemetry-to", own, "-f", "json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALO_STORAGE_DIRECTORY", str(folder / "storage"))
        patch.delenv("OPENAI_API_KEY", raising=False)
        result, server = asyncio.run(analyze(analyst, *arguments))
    assert result.exit_code == 0, result.output
    return Run(result, server, folder / "storage")


def test_findings_are_explained_and_a_question_is_answered(asked: Run) -> None:
    result, server = asked.result, asked.server
    report = json.loads(result.stdout)
    assert any(STATEMENT in finding["summary"] for finding in report["findings"])
    assert report["usage"]["model_calls"] == len(server.requests)
    assert report["usage"]["claims_dropped"] == 0
    assert STATEMENT in result.stderr
    sent = (asked.storage / "llm" / "sent.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(sent) == len(server.requests)


def test_it_is_told_what_the_model_does_while_it_does_it(asked: Run) -> None:
    told = asked.result.stderr.splitlines()
    parts = [
        "the question: looking",
        "the question: I look at the tools.",
        "the question: query(sql=select trace_id",
        "the question: holds: Agents call tools",
    ]
    places = [
        next(place for place, line in enumerate(told) if line.startswith(part)) for part in parts
    ]
    assert places == sorted(places)
    assert any(re.match(r'Agent "flights" repeats .*: looking', line) for line in told)


async def test_quiet_says_nothing_and_streams_nothing(traces_file: Path) -> None:
    result, server = await analyze(analyst, str(traces_file), "-q", "-f", "json")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert server.bodies
    assert not any(body.get("stream") for body in server.bodies)


async def test_the_answer_stands_above_a_report_for_people(traces_file: Path) -> None:
    question = "What do they do? <b>*Now*</b>"
    result, _ = await analyze(analyst, str(traces_file), "-p", question)
    assert result.stdout.startswith("# Question\n")
    assert STATEMENT in result.stdout.split("# What goes wrong")[0]
    assert "<b>" not in MarkdownIt().render(result.stdout)
    assert "<em>" not in MarkdownIt().render(result.stdout.split("# What goes wrong")[0])
    assert "question: What" not in result.stderr  # once is enough


async def test_a_model_that_is_down_costs_the_report_nothing(
    traces_file: Path, storage: Path
) -> None:
    plain = CliRunner().invoke(app, ["analyze", str(traces_file), "-f", "json"])
    assert plain.exit_code == 0
    assert not await asyncio.to_thread(storage.exists)  # no model is asked unless one is named
    result, _ = await analyze(status(401, "wrong key"), str(traces_file), "-f", "json")
    assert result.exit_code == 0, result.output
    assert result.stdout == plain.stdout
    assert "without the model" in result.stderr


@pytest.mark.parametrize("option", [["-p", "Why?"], ["--dry-run"]])
def test_a_question_needs_a_model(traces_file: Path, option: list[str]) -> None:
    result = CliRunner().invoke(app, ["analyze", str(traces_file), *option])
    assert result.exit_code != 0
    assert isinstance(result.exception, Exception)


async def test_who_comes_from_halo_keeps_the_variables_of_openai(
    real_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And HALO's flag, which names the file itself. A question that could not be asked is an error."""
    monkeypatch.chdir(tmp_path)
    async with Scripted(lambda request: status(401, "no")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.settings().base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-from-openai")
        command = ["analyze", str(real_file), "-m", MODEL, "-p", "Why?", "--telemetry"]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert server.requests[0].headers["authorization"] == "Bearer sk-from-openai"
    assert isinstance(result.exception, Rejected)
    (file,) = (file for file in files_below(tmp_path) if file.name.startswith("halo-telemetry-"))
    assert file.read_text(encoding="utf-8").startswith('{"resourceSpans"')


async def test_a_key_of_openai_goes_to_no_address_of_the_configuration(
    real_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scripted(lambda request: status(401, "no")) as server:
        monkeypatch.setenv("HALO_LLM_BASE_URL", server.settings().base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-from-openai")
        command = ["analyze", str(real_file), "-m", MODEL, "-p", "Why?"]
        await asyncio.to_thread(CliRunner().invoke, app, command)
        assert "authorization" not in server.requests[0].headers


def test_nothing_a_stranger_wrote_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    live = Live()
    live(Began(about=NASTY, title=NASTY))
    live(Wrote(about=NASTY, text=NASTY))
    live(Looked(about=NASTY, tool=NASTY, arguments={NASTY: NASTY}, reply=NASTY))
    live(Claimed(about=NASTY, statement=NASTY, dropped=NASTY))
    live(Ended(about=NASTY, unfinished=""))
    told = capsys.readouterr().err
    assert "boo" in told
    assert not any(ord(c) in (0x1B, 0x9B, 0x202E) for c in told)
    assert all(
        line.startswith("[red]boo") for line in told.splitlines()
    )  # each is one line of ours


def test_on_a_terminal_one_conversation_is_shown_as_it_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    live = Live()
    for about in ("a", "b"):
        live(Began(about=about))
    for about, text in (("a", "one "), ("b", "three "), ("a", "two\n"), ("b", "four")):
        live(Wrote(about=about, text=text))
    assert capsys.readouterr().err == "a: looking\nb: looking\na: one two "
    live(Ended(about="a", unfinished=""))
    live(Ended(about="b", unfinished=""))
    assert capsys.readouterr().err == "\nb: three four\n"


def test_what_is_asked_again_is_not_shown_as_said(capsys: pytest.CaptureFixture[str]) -> None:
    live = Live()
    live(Wrote(about="a", text="half a"))
    live(Wrote(about="a", text=None))
    live(Wrote(about="a", text="a whole"))
    live(Ended(about="a", unfinished=""))
    assert capsys.readouterr().err == "a: is asked again\na: a whole\n"


def refuse_to_answer(request: Json) -> Reply:
    raise AssertionError("nothing may leave")


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def test_a_dry_run_sends_nothing_and_shows_what_would_leave_first(
    traces_file: Path, asked: Run, tmp_path: Path, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "requests.jsonl"
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "openai", None)  # as if it were not installed
        dry, server = await analyze(
            refuse_to_answer, str(traces_file), "-p", QUESTION, "--dry-run", "--out", str(out)
        )
    assert dry.exit_code == 0, dry.output
    assert server.requests == []
    assert files_below(storage) == []
    *told, last = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert last["budget"]["input_tokens_max"] == 150_000

    bodies = [json.dumps(body, sort_keys=True) for body in asked.server.bodies]
    # The first requests of the real run are these; those that follow an answer are not foreseen.
    assert all(json.dumps(one["body"], sort_keys=True) in bodies for one in told)
    assert told[0]["about"] == "the question"
    assert len({one["about"] for one in told}) > 1


async def test_a_dry_run_tells_people_sizes_tokens_and_money(traces_file: Path) -> None:
    result, server = await analyze(refuse_to_answer, str(traces_file), "--dry-run")
    assert result.exit_code == 0, result.output
    assert server.requests == []
    assert f"to {MODEL}" in result.stdout
    assert "nothing was sent" in result.stdout
    assert "150,000 tokens in, 40,000 out, an unknown price" in result.stdout


def test_the_model_s_own_work_is_told_as_spans_that_analyze_reads(asked: Run) -> None:
    file = asked.storage.with_name("own.jsonl")
    own = CliRunner().invoke(app, ["analyze", str(file), "-f", "json"])
    assert own.exit_code == 0, own.output
    window = json.loads(own.stdout)["window"]
    assert window["traces"] == 1
    assert window["spans"] > len(asked.server.requests)
    assert window["services"] == ["halo-otel"]


def test_halo_s_variable_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALO_TELEMETRY_PATH", "named.jsonl")
    assert telemetry_of(True, None) == "named.jsonl"
