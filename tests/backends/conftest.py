"""The whole way once: agents → Collector → halo-otel → Collector → real Loki and Prometheus."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.backends.scene import Scene
from tests.backends.servers import Loki, Prometheus
from tests.built import built

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where Loki and Prometheus lie; skips where nobody built them."""
    path = built("backends")
    if not path.exists():
        pytest.skip("Loki and Prometheus are not built: run `make backends` (it needs Go)")
    return path


@pytest.fixture(scope="session")
def scene(
    programs: Path, collector_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Everything runs, and what the demo's agents did is analysed and told."""
    directory = tmp_path_factory.mktemp("backends")
    loki = Loki(programs / "loki", directory / "loki")
    prometheus = Prometheus(programs / "prometheus", directory / "prometheus")
    with ExitStack() as stack:
        scene = Scene(loki, prometheus, collector_binary, directory, stack)
        scene.play()
        yield scene
