"""The model tier of a running service: after the deterministic findings, never instead of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from halo_otel.config.llm import DailySpending, HourlySpending
from halo_otel.errors import BudgetExhausted
from halo_otel.findings import Query
from halo_otel.llm.budget import Amount, Periods
from tests.llm.server import MODEL, Reply, Scripted, says, status
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
    return [finding.full_summary for finding in service.registry.findings(Query(category="error"))]


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

        before_it = service.findings("error")
        await service.window(failing=12)
        assert any(STATEMENT in one for one in summaries(service))  # not thought of again yet
        lives = [(one.status, one.windows_seen) for one in service.findings("error")]
        assert lives != [(one.status, one.windows_seen) for one in before_it]
        await service.think()
        assert any(STATEMENT in one for one in summaries(service))
        assert [(one.status, one.windows_seen) for one in service.findings("error")] == lives
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
        assert service.counters.value("halo.llm.failed_analyses", reason="Rejected") == 1
        await service.stop()


async def test_a_mistake_of_ours_in_the_model_tier_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(*_: object, **__: object) -> None:
        raise ExceptionGroup("tasks", [ZeroDivisionError("nobody saw it coming")])

    async with Scripted(explains) as server:
        service = Service(tmp_path, server.settings())
        await service.start()
        await service.window(failing=12)
        with monkeypatch.context() as patch:
            patch.setattr("halo_otel.recursion.deepen.converse", mistaken)
            await service.think()
        failed = service.counters.value("halo.llm.failed_analyses", reason="ZeroDivisionError")
        assert failed == 1
        assert "in mistaken" in caplog.text
        assert summaries(service)
        await service.window(failing=12)
        await service.think()
        assert any(STATEMENT in one for one in summaries(service))
        await service.stop()


async def test_explanations_and_what_was_spent_outlive_a_restart(tmp_path: Path) -> None:
    async with Scripted(explains) as server:
        service = Service(tmp_path, server.settings())
        await service.start()
        await service.window(failing=12)
        await service.think()
        spent = service.counters.value("halo.llm.tokens", direction="input", role="model")
        await service.restart()
        assert any(STATEMENT in one for one in summaries(service))
        hour = HourlySpending(input_tokens=int(spent))
        account = service.registry.account(Periods(hour, DailySpending()))
        with pytest.raises(BudgetExhausted, match=r"llm\.budget\.hour\.input_tokens"):
            await account.take(Amount(input_tokens=1), service.clock.now_ns())
        await service.stop()


def misquotes(request: dict[str, Any]) -> Reply:
    """As `explains`, with words no span says."""
    looked = [message for message in request["messages"] if message["role"] == "tool"]
    if len(looked) != 1 or "refute" in json.dumps(request["messages"]):
        return explains(request)
    invented = json.loads(looked[0]["content"].split("\n")[2]) | {"error": "never said by anybody"}
    content = "\n".join(["", "", json.dumps(invented)])
    return explains({"messages": [{"role": "tool", "content": content}]})


async def test_claims_that_do_not_hold_are_kept_for_inspection(tmp_path: Path) -> None:
    async with Scripted(misquotes) as server:
        service = Service(tmp_path, server.settings(max_turns=2, dropped_claims=1))
        await service.start()
        await service.window(failing=12)
        await service.think()
        (kept,) = service.registry.dropped_claims()
        assert (kept.reason, kept.statement) == ("quote_not_found", STATEMENT)
        assert kept.subject.tool == "pay"
        assert kept.asked == MODEL
        assert kept.cluster
        assert not any(STATEMENT in one for one in summaries(service))
        await service.stop()
