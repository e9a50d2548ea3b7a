"""What a call cost by the table of prices, where the telemetry does not say."""

from pathlib import Path
from typing import Any

import pytest

from halo_otel.agentspan.prices import load_prices
from halo_otel.errors import ConfigError

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.usage.input_tokens": 1_000_000,
    "gen_ai.usage.output_tokens": 100_000,
}
OWN = """
date = 2026-11-01
[[lists]]
providers = ["ollama"]
models = {"my-model" = {input = 1, output = 2}}
[[lists]]
models = {"gpt-5-mini" = {input = 100, output = 0}}
"""


def test_a_call_is_priced_and_says_by_what(facts: Any) -> None:
    known = load_prices().applied(facts(CALL))
    assert known.cost == pytest.approx(0.25 + 0.2)
    assert known.sources["cost"].startswith("prices:2026-")
    assert known.model_requested == "gpt-5-mini"


def test_a_stated_cost_is_believed(facts: Any) -> None:
    known = load_prices().applied(
        facts({**CALL, "openinference.span.kind": "LLM", "llm.cost.total": 7.5})
    )
    assert (known.cost, known.sources["cost"]) == (7.5, "llm.cost.total")


@pytest.mark.parametrize(
    ("model", "input_price"),
    [
        ("gpt-5", 1.25),
        ("gpt-5-2025-08-07", 1.25),
        ("openai/gpt-5", 1.25),
        ("GPT-5-mini", 0.25),
        ("gpt-5-codex-max", None),  # another model, not a release of gpt-5
        ("gpt-50", None),
        ("", None),
    ],
)
def test_a_release_costs_what_its_model_does(
    facts: Any, model: str, input_price: float | None
) -> None:
    tokens = {"gen_ai.usage.input_tokens": 1_000_000, "gen_ai.usage.output_tokens": 0}
    known = load_prices().applied(facts({**CALL, "gen_ai.request.model": model, **tokens}))
    assert known.cost == input_price


@pytest.mark.parametrize(
    ("provider", "model", "priced"),
    [
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("anthropic", "claude-sonnet-4-5@20250929", True),
        ("azure.ai.openai", "gpt-4o-2024-08-06", True),
        ("ollama", "gpt-4o", False),  # who runs a model himself pays something else
        ("openai", "claude-sonnet-4-5", False),
        ("openai", "a-model-nobody-knows", False),
    ],
)
def test_only_who_sells_a_model_asks_its_price(
    facts: Any, provider: str, model: str, priced: bool
) -> None:
    call = {**CALL, "gen_ai.provider.name": provider, "gen_ai.request.model": model}
    assert (load_prices().applied(facts(call)).cost is not None) == priced


def test_the_model_that_answered_counts(facts: Any) -> None:
    known = load_prices().applied(facts({**CALL, "gen_ai.response.model": "gpt-5-nano-2025-08-07"}))
    assert known.cost == pytest.approx(0.05 + 0.04)


def test_cached_tokens_inside_and_beside_the_input(facts: Any) -> None:
    inside = facts({**CALL, "gen_ai.usage.cache_read.input_tokens": 400_000})
    assert load_prices().applied(inside).cost == pytest.approx(0.6 * 0.25 + 0.4 * 0.025 + 0.2)
    beside = facts(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-haiku-4-5",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 0,
            "gen_ai.usage.cache_read.input_tokens": 1_000_000,
            "gen_ai.usage.cache_creation.input_tokens": 2_000_000,
        }
    )
    assert load_prices().applied(beside).cost == pytest.approx(0.001 + 0.1 + 2.5)


@pytest.mark.parametrize(
    "change",
    [
        {"gen_ai.operation.name": "invoke_agent"},  # it repeats what its calls count
        {"gen_ai.usage.output_tokens": None},
        {"gen_ai.usage.input_tokens": None},
    ],
)
def test_what_cannot_be_known_stays_unknown(facts: Any, change: Any) -> None:
    unpriced = facts({**CALL, **change})
    assert load_prices().applied(unpriced) is unpriced


def test_an_embedding_has_no_output(facts: Any) -> None:
    known = facts(
        {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "text-embedding-3-small",
            "gen_ai.usage.input_tokens": 1_000_000,
        }
    )
    assert load_prices().applied(known).cost == pytest.approx(0.02)


def test_an_own_table_comes_before_the_built_in_one(facts: Any, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(OWN)
    prices = load_prices(file)
    own = prices.applied(facts(CALL))
    assert (own.cost, own.sources["cost"]) == (100.0, "prices:2026-11-01")
    hosted = {**CALL, "gen_ai.provider.name": "ollama", "gen_ai.request.model": "my-model:latest"}
    assert prices.applied(facts(hosted)).cost == pytest.approx(1.2)
    other = prices.applied(facts({**CALL, "gen_ai.request.model": "gpt-5"}))
    assert other.cost == pytest.approx(1.25 + 1.0)


def test_an_own_table_may_stand_alone(facts: Any, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("only = true\n" + OWN)
    assert load_prices(file).applied(facts({**CALL, "gen_ai.request.model": "gpt-5"})).cost is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("date = 2026-01-01", "lists: Field required"),
        ("date = ", "Invalid value"),
        ('date = 2026-01-01\n[[lists]]\nmodels = {"m" = {input = -1}}', "lists.0.models.m.input"),
        (
            'date = 2026-01-01\n[[lists]]\nmodels = {"m" = {input = 1, in = 2}}',
            "lists.0.models.m.in",
        ),
    ],
)
def test_a_bad_table_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"window\.prices_file: .*prices\.toml") as caught:
        load_prices(file)
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_prices(tmp_path / "none.toml")
