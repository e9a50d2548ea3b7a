"""Real stores in the test's own directory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from halo_otel.config import sections
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def open_store(tmp_path: Path, counters: Counters) -> Iterator[Callable[..., WindowStore]]:
    """Opens the windows of this test, closing those opened before: a restart."""
    opened: list[WindowStore] = []

    def open_(**settings: Any) -> WindowStore:
        for store in opened:
            store.close()
        opened.append(WindowStore(tmp_path / "windows", sections.Window(**settings), counters))
        opened[-1].open()
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., WindowStore]) -> WindowStore:
    return open_store()
