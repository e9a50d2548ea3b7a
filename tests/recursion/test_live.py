"""A real model over real traces. Set HALO_TEST_LLM_BASE_URL and HALO_TEST_LLM_MODEL, and HALO_TEST_LLM_API_KEY where
the endpoint wants one; it costs at most the budget below.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from halo_otel.config.load import load
from halo_otel.model.finding import MODEL_TIER, Finding
from halo_otel.recursion.claims.claim import Dropped, read
from halo_otel.recursion.claims.verify import verify
from halo_otel.recursion.environment.environment import Environment
from halo_otel.service.reasoning import analysed, deepened

TRACES: Final = Path(__file__).parents[1] / "data" / "tau-airline.jsonl.gz"
INPUT_TOKENS, OUTPUT_TOKENS, CALLS = 60_000, 16_000, 12
ANSWER_TOKENS = 1_500


def _environment(storage: Path) -> dict[str, str]:
    given = {
        "HALO_LLM_BASE_URL": os.environ["HALO_TEST_LLM_BASE_URL"],
        "HALO_LLM_MODEL": os.environ["HALO_TEST_LLM_MODEL"],
        "HALO_LLM_API_KEY": os.environ.get("HALO_TEST_LLM_API_KEY", ""),
    }
    limits = {"INPUT_TOKENS": INPUT_TOKENS, "OUTPUT_TOKENS": OUTPUT_TOKENS, "CALLS": CALLS}
    budget = {f"HALO_LLM_BUDGET_WINDOW_{name}": str(most) for name, most in limits.items()}
    budget["HALO_LLM_MAX_OUTPUT_TOKENS"] = str(ANSWER_TOKENS)
    return {**given, **budget, "HALO_STORAGE_DIRECTORY": str(storage), "HOME": str(storage)}


@pytest.mark.timeout(900)
def test_a_real_model_keeps_its_budget_and_says_nothing_that_does_not_hold(tmp_path: Path) -> None:
    config = load(None, _environment(tmp_path))
    question = "What do the failed runs have in common?"
    with analysed([TRACES], config, lambda read: None, lambda bad: None) as files:
        came = asyncio.run(deepened(files, config, question))
        claims = [one.verified.claim.model_dump(mode="json") for one in came.answer]
        claims += _kept(config.llm_memory_file)
        with Environment(files.view, files.report, files.judgements) as environment:
            for written in claims:
                claim = read(written)
                assert not isinstance(claim, Dropped), claim
                assert not isinstance(verify(claim, environment), Dropped), claim
    usage = came.report.usage
    assert 1 < usage.model_calls <= CALLS
    assert usage.input_tokens <= INPUT_TOKENS
    assert usage.output_tokens <= OUTPUT_TOKENS
    deterministic = [one for one in came.report.findings if one.tier != MODEL_TIER]
    assert [*map(_said_without_a_model, deterministic)] == [
        *map(_said_without_a_model, files.report.findings)
    ]


def _kept(file: Path) -> list[dict[str, Any]]:
    """The claims about clusters, which ship in findings."""
    if not file.exists():
        return []
    answers = [json.loads(line)[1] for line in file.read_text(encoding="utf-8").splitlines()]
    return [one["claim"] for answer in answers if isinstance(answer, list) for one in answer]


def _said_without_a_model(finding: Finding) -> tuple[object, ...]:
    return (
        finding.fingerprint,
        finding.title,
        finding.summary,
        finding.severity,
        finding.traces,
        finding.impact,
        finding.effect,
        finding.root_cause,
        finding.recommendation,
    )
