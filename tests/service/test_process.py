"""What a process takes of the machine."""

import os
import subprocess
import sys
import tempfile

import pytest

from halo_otel.clock import NS_PER_S, ManualClock
from halo_otel.selfobs import Counters
from halo_otel.service.process import Process


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells it")
def test_what_this_process_takes() -> None:
    counters = Counters()
    process = Process("front", ManualClock(7 * NS_PER_S), counters)

    def reading(name: str) -> float:
        return counters.value(f"halo.process.{name}", process="front")

    process.measure()
    before_s, before_bytes = reading("cpu_seconds"), reading("resident_memory_bytes")
    before_fds = reading("open_fds")
    held = bytearray(os.urandom(64 << 20))
    with tempfile.TemporaryFile():
        process.measure()
        assert reading("open_fds") == before_fds + 1
    assert reading("resident_memory_bytes") >= before_bytes + len(held) // 2
    assert reading("cpu_seconds") > before_s > 0
    used = os.times()
    assert reading("cpu_seconds") <= used.user + used.system
    assert reading("start_time_seconds") == 7


@pytest.mark.parametrize(
    ("module", "dear"),
    [
        ("halo_otel.service.engine", "pyarrow"),  # 40 MB: it comes with the first row
        ("halo_otel.service.engine", "halo_otel.recursion"),  # it comes with `llm.model`
        ("halo_otel.control.client", "sqlalchemy"),  # half of what a probe costs
    ],
)
def test_nobody_pays_for_what_is_not_used(module: str, dear: str) -> None:
    script = f"import sys, {module}; print({dear!r} in sys.modules)"
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
