"""The programs of .ci/supply in the environment that `make supply` installs."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.built import built

ROOT = Path(__file__).parents[2]
SUPPLY = ROOT / ".ci" / "supply"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The Python of that environment; skips where nobody built it, but never in CI."""
    python = built("supply") / "bin" / "python"
    if not (python.parents[1] / "complete").exists():
        missing = "the tools of .ci/supply are not installed: run `make supply`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return python


@pytest.fixture
def supply(tools: Path) -> Run:
    """Runs a program of .ci/supply."""

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tools, SUPPLY / program, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )

    return run
