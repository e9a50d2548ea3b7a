"""What a model call cost where the telemetry does not say: tokens times a dated list price.

List prices only: no batch discounts, no surcharge for long contexts or regions. A model or a provider
that no table knows costs an unknown amount, never nothing.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from halo_otel.config.llm import Price
from halo_otel.config.prices import PriceList, PriceTable, read_prices
from halo_otel.model.facts import AgentFacts, SpanKind

PER_TOKENS: Final = 1_000_000
_LEAVES: Final = frozenset({SpanKind.LLM, SpanKind.EMBEDDING})
# `us.anthropic.claude-…` on Bedrock, `models/gemini-…`, `openai/gpt-…`, an inference profile's ARN.
_BEFORE: Final = re.compile(
    r"^(?:.*/)?(?:(?:us|eu|apac|au|jp|ca|global)\.)?(?:anthropic\.|amazon\.)?"
)
# A dated or numbered release of the model that a table names: `-2025-08-07`, `@20250929`, `-v1:0`.
_RELEASE: Final = re.compile(r"(?:[-@:](?:\d{2,8}|latest|preview|exp|v\d+(?::\d+)?))*")
_MODELS_KEPT: Final = 4096


class Prices:
    """Prices by model and provider."""

    def __init__(self, tables: Iterable[PriceTable]) -> None:
        """The tables that come first are believed first."""
        self._lists = [
            (table.date.isoformat(), prices) for table in tables for prices in table.lists
        ]
        self._find = lru_cache(_MODELS_KEPT)(self._search)

    def applied(self, facts: AgentFacts) -> AgentFacts:
        """`facts` with what the call cost, unless the telemetry says it or it cannot be known."""
        if facts.cost is not None or facts.kind not in _LEAVES or facts.input_tokens is None:
            return facts
        if facts.output_tokens is None and facts.kind is not SpanKind.EMBEDDING:
            return facts
        for model in (facts.model_served, facts.model_requested):
            found = self._find(model, facts.provider) if model else None
            if found is not None:
                dated, price = found
                return AgentFacts.of(
                    {
                        **vars(facts),
                        "cost": _cost(facts, price),
                        "sources": {**facts.sources, "cost": f"prices:{dated}"},
                    }
                )
        return facts

    def of(self, model: str) -> Price | None:
        """The price of `model`, whoever serves it."""
        found = self._find(model, None)
        return found and found[1]

    def _search(self, model: str, provider: str | None) -> tuple[str, Price] | None:
        name = _BEFORE.sub("", model.lower())
        for dated, prices in self._lists:
            if provider is None or not prices.providers or provider in prices.providers:
                if price := _longest(prices, name):
                    return dated, price
        return None


@cache
def load_prices(file: Path | None = None) -> Prices:
    """The built-in prices, or those of `file` before or instead of them; read once.

    Raises `ConfigError`.
    """
    if file is None:
        return Prices([_built_in_table()])
    table = read_prices(file)
    return Prices([table] if table.only else [table, _built_in_table()])


def _built_in_table() -> PriceTable:
    with as_file(files("halo_otel.agentspan") / "prices.toml") as file:
        return read_prices(file)


def _longest(prices: PriceList, name: str) -> Price | None:
    """The price of the model called `name` or of the one that `name` is a release of."""
    models = [
        model
        for model in prices.models
        if name.startswith(model) and _RELEASE.fullmatch(name, len(model))
    ]
    return prices.models[max(models, key=len)] if models else None


def _cost(facts: AgentFacts, price: Price) -> float:
    """USD. Reasoning tokens are among the output tokens; cached ones as `cache_accounting` says."""
    read, written = facts.cache_read_tokens or 0, facts.cache_write_tokens or 0
    fresh = facts.input_tokens or 0
    if facts.cache_accounting == "inside":
        fresh = max(0, fresh - read - written)
    elif facts.cache_accounting is None:
        read = written = 0
    return (
        fresh * price.input
        + read * (price.input if price.cache_read is None else price.cache_read)
        + written * (price.input if price.cache_write is None else price.cache_write)
        + (facts.output_tokens or 0) * price.output
    ) / PER_TOKENS
