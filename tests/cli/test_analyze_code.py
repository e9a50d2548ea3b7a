"""`analyze --code`: a model that greps, reads and cites; and what it cites wrongly does not ship."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from halo_otel.cli.app import app
from halo_otel.errors import ConfigError
from halo_otel.recursion.claims.checking import CLAIMS_MAX
from tests.codebase.repositories import repository
from tests.llm.server import MODEL, Reply, Script, Scripted, says

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALO_STORAGE_DIRECTORY", str(tmp_path / "storage"))
    return tmp_path / "storage"


async def analyze(script: Script, *arguments: str) -> tuple[Result, Scripted]:
    async with Scripted(script) as server:
        base_url = server.settings().base_url
        command = ["analyze", *arguments, "-m", MODEL, "--base-url", base_url, "-f", "json"]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
    return result, server


Citation = tuple[str, int, str, str]


def citing(*citations: Citation) -> Script:
    """Looks at spans and code, then claims what holds of any runs, once with each of path, line, text and advice."""

    def script(request: Json) -> Reply:
        if "refute" in json.dumps(request["messages"]):
            return says(json.dumps({"verdict": "holds", "why": "it does"}))
        looked = [message for message in request["messages"] if message["role"] == "tool"]
        if not looked:
            sql = (
                "select trace_id, span_id, name from spans where kind = 'tool' order by all limit 1"
            )
            calls = (
                ("query", {"sql": sql}),
                ("code_grep", {"pattern": "MAX_RETRIES"}),
                ("code_read", {"path": "src/agent.py"}),
                ("git_log", {"path": "src/agent.py"}),
                ("code_read", {"path": "../outside.txt"}),
            )
            return says(calls=calls)
        row = next(
            json.loads(one) for one in looked[0]["content"].split("\n") if one.startswith("{")
        )
        place = {"trace_id": row["trace_id"], "span_id": row["span_id"]}
        claims = [{"claim": claim(place, row["name"], *citation)} for citation in citations]
        return says(calls=(("report", {"claims": claims}),))

    return script


def claim(place: Json, name: str, path: str, line: int, text: str, advice: str) -> Json:
    return {
        "subject": {"service": None, "agent": None, "tool": None, "model": None},
        "statement": "Agents call tools in these runs.",
        "predicates": [
            {
                "sql": "select count(*) from traces where calls > 0",
                "parameters": [],
                "comparison": ">",
                "expected": 0,
            }
        ],
        "spans": [place],
        "quotes": [{**place, "field": "name", "text": name}],
        "contrast": None,
        "causal": False,
        "edge": None,
        "severity": "info",
        "recommendation": advice,
        "code": [{"path": path, "line": line, "text": text}],
    }


async def test_a_line_of_code_is_cited(traces_file: Path, tmp_path: Path) -> None:
    root = repository(tmp_path / "code")
    advice = "Lower the limit in src/agent.py:1."
    script = citing(("src/agent.py", 1, "MAX_RETRIES = 50", advice))
    result, server = await analyze(script, str(traces_file), "--code", str(root))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert any("See src/agent.py:1." in one["recommendation"] for one in report["findings"])
    told = json.dumps([body["messages"] for body in server.bodies])
    assert "MAX_RETRIES = 50" in told
    assert "Retry more often" in told
    assert "is shown" in told  # the path that leads out


@pytest.mark.parametrize(
    "citations",  # as many as one report may have
    [
        (
            ("src/agent.py", 2, "MAX_RETRIES = 50", ""),
            ("src/agent.py", 999, "MAX_RETRIES = 50", ""),
            ("src/agent.py", 1, "MAX_RETRIES = 51", ""),
        ),
        (
            ("src/nowhere.py", 1, "MAX_RETRIES = 50", ""),
            (".env", 1, "TOKEN=1", ""),
            ("src/agent.py", 1, "MAX_RETRIES = 50", "Look at src/agent.py:6."),
        ),
    ],
)
async def test_a_false_citation_does_not_ship(
    traces_file: Path, tmp_path: Path, citations: tuple[Citation, ...]
) -> None:
    assert len(citations) == CLAIMS_MAX
    root = repository(tmp_path / "code")
    result, server = await analyze(citing(*citations), str(traces_file), "--code", str(root))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["usage"]["claims_dropped"] >= CLAIMS_MAX
    told = json.dumps([body["messages"] for body in server.bodies])
    wrong = set(re.findall(r"claim (\d): (?:code_not_found|name_unverified): ", told))
    assert wrong == {"1", "2", "3"}  # each is told what is wrong with its citation
    assert not any(re.search(r"\.py:\d|\.env", json.dumps(one)) for one in report["findings"])


async def test_without_code_no_tool_is_offered(traces_file: Path) -> None:
    _, server = await analyze(citing(("x", 1, "x", "")), str(traces_file))
    assert server.requests
    offered = json.dumps([body.get("tools") for body in server.bodies])
    assert "code_read" not in offered
    assert "git_log" not in offered


async def test_where_nothing_may_leave_no_code_does(
    traces_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALO_LLM_PAYLOADS", "none")
    root = repository(tmp_path / "code")
    result, server = await analyze(citing(("x", 1, "x", "")), str(traces_file), "--code", str(root))
    assert isinstance(result.exception, ConfigError)
    assert not server.requests
