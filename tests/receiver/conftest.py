"""The receiver every test of this room talks to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.receiver.rig import Rig, running


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A receiver with default settings on free ports."""
    async with running(tmp_path / "journal") as started:
        yield started
