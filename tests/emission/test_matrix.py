"""Real SDKs tell one run; every fact they can tell is found, whatever their dialect."""

from collections.abc import Mapping

import pytest

from tests.emission.matrix import FACTS, Telling, cell, emissions, table

NAMES = sorted(emissions())


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_that_the_sdk_can_tell_is_found(telling: Telling) -> None:
    assert telling.spans, telling.output
    cells = {fact: cell(telling, fact) for fact in FACTS}
    wrong = {fact: value for fact, value in cells.items() if value not in ("ok", "-")}
    assert not wrong, f"{wrong}\n{telling.output}"


@pytest.mark.parametrize("name", NAMES)
def test_the_dialect_is_recognised(telling: Telling) -> None:
    dialects = {each for span in telling.spans for each in (span["dialects"] or "").split(",")}
    assert telling.emission.dialect in dialects


@pytest.mark.parametrize("name", NAMES)
def test_only_known_facts_are_declared_absent(name: str) -> None:
    assert emissions()[name].absent <= FACTS.keys()


def test_the_matrix(tellings: Mapping[str, Telling]) -> None:
    """Every SDK beside every fact; `pytest -s` shows it."""
    if not tellings:
        pytest.skip("no environment is installed: run `make emission`")
    text, share = table([tellings[name] for name in sorted(tellings)])
    print(f"\n{text}")
    assert share == 1
