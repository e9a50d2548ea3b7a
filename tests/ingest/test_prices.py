"""Rows of model calls bear what they cost, and by whose word."""

from pathlib import Path

import pytest

from halo_otel.agentspan.prices import load_prices
from halo_otel.ingest.rows import RowBuilder
from halo_otel.otlp.anyvalue import from_json
from tests.window.samples import a_span

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.usage.input_tokens": 1_000_000,
    "gen_ai.usage.output_tokens": 0,
}


def stored(builder: RowBuilder) -> tuple[object, object]:
    """The cost of the one span and where it was read."""
    builder.add_span(a_span(1, attributes=CALL), 1, 0)
    columns = builder.batch().spans
    sources = from_json(str(columns["fact_sources"][0]))
    assert isinstance(sources, dict)
    return columns["cost"][0], sources["cost"]


def test_the_built_in_prices() -> None:
    cost, source = stored(RowBuilder())
    assert cost == pytest.approx(0.25)
    assert str(source).startswith("prices:")


def test_prices_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('date = 2026-11-01\n[[lists]]\nmodels = {"gpt-5-mini" = {input = 3}}')
    assert stored(RowBuilder(prices=load_prices(file))) == (3.0, "prices:2026-11-01")
