"""What all tests share: the real Collector, and that CI skips nothing."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# A law holds however busy the machine is; what hangs is ended by pytest-timeout.
settings.register_profile("halo", deadline=None)
settings.load_profile("halo")


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
    build = [str(ROOT / ".ci" / "collector" / "build"), "--path"]
    path = Path(subprocess.run(build, capture_output=True, text=True, check=True).stdout.strip())
    if not path.exists():
        pytest.skip("the Collector is not built: run `make collector` (it needs Go)")
    return path
