"""The disk every test of this room writes to."""

from pathlib import Path

import pytest

from tests.journal.disk import Disk


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """An empty journal directory with small segments."""
    return Disk(tmp_path / "journal")
