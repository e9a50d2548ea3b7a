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


def test_an_engine_without_traffic_does_not_pay_for_arrow() -> None:
    """40 MB: it comes with the first row."""
    script = "import sys, halo_otel.service.engine; print('pyarrow' in sys.modules)"
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
