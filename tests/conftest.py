"""What all tests share: the real Collector, what is begun first, and that CI skips nothing."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.built import built

ROOT = Path(__file__).parents[1]
# The files that take longest, longest first: begun last, one of them would go on when all others are done.
FIRST = (
    "fuzz/test_targets.py",
    "path/test_crash.py",
    "analysis/test_change.py",
    "demo/test_flow.py",
    "analysis/test_same_bytes.py",
    "window/test_compaction.py",
    "cli/test_analyze_model.py",
    "cli/test_analyze.py",
    "cli/test_diff.py",
    "faults/test_analysis.py",
    "faults/test_engine.py",
    "analysis/test_eval_generated.py",
    "recursion/test_verify.py",
    "path/test_restart.py",
)

# A law holds however busy the machine is; what hangs is ended by pytest-timeout.
settings.register_profile("halo", deadline=None)
settings.load_profile("halo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; pytest-xdist gives files out in this order."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that cannot run is a failure: otherwise a missing tool looks like success."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI skips nothing: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def collector_binary() -> Path:
    """The Collector of this checkout's manifest; skips where nobody built it."""
    path = built("collector")
    if not path.exists():
        pytest.skip("the Collector is not built: run `make collector` (it needs Go)")
    return path
