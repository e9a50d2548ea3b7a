"""The model tier of a running service: after the deterministic findings, never instead of them."""

import json
from pathlib import Path
from typing import Any

from halo_otel.findings import Query
from tests.llm.server import Reply, Scripted, says, status
from tests.service.running import Service

STATEMENT = "The card service is down for these runs."


def explains(request: dict[str, Any]) -> Reply:
    """Looks for a failing span, then says what it says."""
    if "refute" in json.dumps(request["messages"]):
        return says(json.dumps({"verdict": "holds", "why": "it does"}))
    looked = [message for message in request["messages"] if message["role"] == "tool"]
    if not looked:
        sql = "select trace_id, span_id, error from spans where tool = 'pay' and failed order by 1"
        return says(calls=(("query", {"sql": sql, "rows_max": 1}),))
    row = json.loads(looked[-1]["content"].split("\n")[2])
    span = {"trace_id": row["trace_id"], "span_id": row["span_id"]}
    claim = {
        "subject": {"service": None, "agent": None, "tool": "pay", "model": None},
        "statement": STATEMENT,
        "predicates": [
            {
                "sql": "select count(*) from spans where tool = 'pay' and failed",
                "parameters": [],
                "comparison": ">",
                "expected": 0,
            }
        ],
        "spans": [span],
        "quotes": [{**span, "field": "error", "text": row["error"]}],
        "contrast": None,
        "causal": False,
        "edge": None,
        "severity": "error",
        "recommendation": "Ask the card service's operators.",
    }
    return says(calls=(("report", {"claims": [{"claim": claim}]}),))


def summaries(service: Service) -> list[str]:
    return [finding.summary for finding in service.registry.findings(Query(category="error"))]


async def test_findings_are_told_first_and_explained_then(tmp_path: Path) -> None:
    async with Scripted(explains) as server:
        service = Service(tmp_path, server.settings())
        await service.start()
        await service.window(failing=12)
        before = summaries(service)
        assert before
        assert not any(STATEMENT in one for one in before)
        assert not server.requests

        await service.think()
        assert any(STATEMENT in one for one in summaries(service))
        (run,) = [run for run in service.registry.runs() if run.info.trigger == "model"]
        assert run.model_calls == len(server.requests) > 0
        paid = service.counters.value("halo.llm.tokens", direction="input", role="model")

        await service.window(failing=12)
        await service.think()
        assert any(STATEMENT in one for one in summaries(service))
        again = service.counters.value("halo.llm.tokens", direction="input", role="model")
        assert again - paid <= 0.05 * paid
        await service.stop()


async def test_a_model_that_fails_costs_nothing_else(tmp_path: Path) -> None:
    async with Scripted(lambda _: status(401, "wrong key")) as server:
        service = Service(tmp_path, server.settings())
        await service.start()
        await service.window(failing=12)
        await service.think()
        assert summaries(service)
        assert service.counters.value("halo.llm.failed_analyses") == 1
        await service.stop()
