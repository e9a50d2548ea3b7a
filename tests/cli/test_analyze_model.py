"""`analyze` with a model behind a real endpoint: what it adds, and that it may fail."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from halo_otel.cli.app import app
from tests.llm.server import MODEL, Reply, Script, Scripted, says, status

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what was sent and answered is kept."""
    monkeypatch.setenv("HALO_STORAGE_DIRECTORY", str(tmp_path / "storage"))
    return tmp_path / "storage"


async def analyze(script: Reply | Script, *arguments: str) -> tuple[Result, Scripted]:
    async with Scripted(script) as server:
        base_url = server.settings().base_url
        command = ["analyze", *arguments, "-m", MODEL, "--base-url", base_url, "-f", "json"]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
    return result, server


def finder(request: Json) -> Reply:
    """Claims how many runs there are, and of which span it is told a word, once it has looked."""
    looked = [message for message in request["messages"] if message["role"] == "tool"]
    if "refute" in json.dumps(request["messages"]):
        return says(json.dumps({"verdict": "holds", "why": "it does"}))
    if not looked:
        sql = "select trace_id, span_id, name from spans where kind = 'tool' order by all limit 1"
        return says(calls=(("query", {"sql": sql}),))
    row = json.loads(looked[-1]["content"].split("\n")[2])
    counting = "select count(*) from traces where calls > 0"
    claim = {
        "subject": {"service": None, "agent": None, "tool": None, "model": None},
        "statement": "Agents call tools in these runs.",
        "predicates": [
            {"sql": counting, "parameters": [], "comparison": ">", "expected": 0},
        ],
        "spans": [{"trace_id": row["trace_id"], "span_id": row["span_id"]}],
        "quotes": [
            {
                "trace_id": row["trace_id"],
                "span_id": row["span_id"],
                "field": "name",
                "text": row["name"],
            }
        ],
        "contrast": None,
        "causal": False,
        "edge": None,
        "severity": "info",
        "recommendation": "",
    }
    return says(calls=(("report", {"claims": [{"claim": claim}]}),))


async def test_findings_are_explained_and_a_question_is_answered(
    traces_file: Path, storage: Path
) -> None:
    result, server = await analyze(finder, str(traces_file), "-p", "What do they do?")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert any("Agents call tools" in finding["summary"] for finding in report["findings"])
    assert report["usage"]["model_calls"] == len(server.requests)
    assert report["usage"]["claims_dropped"] == 0
    assert "Agents call tools in these runs." in result.stderr
    sent = (storage / "llm" / "sent.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(sent) == len(server.requests)


async def test_a_model_that_is_down_costs_the_report_nothing(traces_file: Path) -> None:
    plain = CliRunner().invoke(app, ["analyze", str(traces_file), "-f", "json"])
    result, _ = await analyze(status(401, "wrong key"), str(traces_file))
    assert result.exit_code == 0, result.output
    assert result.stdout == plain.stdout
    assert "without the model" in result.stderr


async def test_a_question_that_could_not_be_asked_is_an_error(traces_file: Path) -> None:
    result, _ = await analyze(status(401, "wrong key"), str(traces_file), "-p", "Why?")
    assert result.exit_code != 0


def test_a_question_needs_a_model(traces_file: Path) -> None:
    result = CliRunner().invoke(app, ["analyze", str(traces_file), "-p", "Why?"])
    assert result.exit_code != 0
    assert isinstance(result.exception, Exception)


def test_no_model_is_asked_unless_one_is_named(traces_file: Path, storage: Path) -> None:
    assert CliRunner().invoke(app, ["analyze", str(traces_file)]).exit_code == 0
    assert not storage.exists()
