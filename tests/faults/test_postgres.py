"""A PostgreSQL that goes away while the service uses it: findings wait, and come once when it is back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres, running
from tests.service.running import Service as Analysed


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


async def test_what_is_found_while_it_is_away_is_recorded_once_when_it_is_back(
    tmp_path: Path, postgres: Postgres
) -> None:
    analysed = Analysed(tmp_path, registry_url=postgres.url())
    await analysed.start()
    await analysed.window(failing=0)
    postgres.stop()
    await analysed.window(failing=15)
    assert analysed.counters.value("halo.analysis.failed_runs") == 1
    postgres.start()
    analysed.clock.advance(60)
    await analysed.analyst.tick(analysed.clock.arrival_ns())
    assert [finding.status for finding in analysed.findings("error")] == ["new"]
    assert len(analysed.registry.transitions()) == 1
    postgres.stop()  # between two runs
    postgres.start()
    await analysed.window(failing=15)
    assert analysed.counters.value("halo.analysis.failed_runs") == 1
    assert [finding.windows_seen for finding in analysed.findings("error")] == [2]
    await analysed.stop()
