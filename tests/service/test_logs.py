"""What is logged at which level."""

import logging
from collections.abc import Iterator

import pytest

from halo_otel.service import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The root logger as pytest set it up."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    for name in ("grpc", "uvicorn", "opentelemetry.exporter"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("level", "grpc"), [("debug", logging.INFO), ("info", logging.INFO), ("error", logging.ERROR)]
)
def test_grpc_never_tells_of_its_event_loop(level: str, grpc: int) -> None:
    logs.configure("front", level)
    assert logging.getLogger("grpc._cython.cygrpc").getEffectiveLevel() == grpc
