"""How long acknowledgements take while a window of a million spans is analysed.

    python tests/bench/ack_busy.py [spans in the window]

The service starts on a sealed window that no run has judged, so it analyses that at once; meanwhile
a sender in a process of its own sends requests of about 40 spans, 10,000 spans a second, one after
the other as they are due. The same again when the analysis is over, to compare.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script
from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.bench.analysis import fill_database
from tests.path.conftest import Service, eventually
from tests.soak.rig import Sender

RATE = 10_000.0
SPANS_PER_REQUEST = 40
P99_MS_MAX = 250.0
IDLE_S = 20.0
ANALYSIS_S_MAX = 600.0
BEFORE_S = 600  # the window's start lies so far back; the default lookback is an hour


def prepare(directory: Path, spans: int) -> None:
    """A windows directory with one sealed window of `spans` spans."""
    store = WindowStore(directory, sections.Window(), Counters())
    store.open()
    now_ns = time.time_ns()
    file = store._create(store.start_of(now_ns - BEFORE_S * NS_PER_S))
    fill_database(store._connection, file.database, spans)
    store.seal_before(now_ns)
    store.close()


def analysed(service: Service) -> bool:
    return service.metric("halo_analysis_runs_total") >= 1


def acks(
    service: Service, scratch: Path, lane: int, done: Callable[[], bool], seconds: float
) -> list[float]:
    """Milliseconds of each acknowledgement until `done`, sorted."""
    log = scratch / "load.log"
    sender = Sender(service.grpc_port, RATE, lane, 60.0, log, spans_a_request=SPANS_PER_REQUEST)
    sender.start()
    try:
        eventually("done", done, seconds)
        return sorted(1e3 * one for one in sender.finish()["acks_s"])
    finally:
        sender.kill()


def line(what: str, acks_ms: list[float], seconds: float) -> float:
    p50, p99 = (acks_ms[int(share * (len(acks_ms) - 1))] for share in (0.5, 0.99))
    print(
        f"{what:24} {seconds:5.1f} s, {len(acks_ms):6,} acks: p50 {p50:6.1f} ms,"
        f" p99 {p99:6.1f} ms, max {acks_ms[-1]:6.1f} ms"
    )
    return p99


def main(spans: int) -> int:
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        settings = {"HALO_EXPORTERS_OTLP_ENABLED": "false"}
        service = Service(scratch / "service", settings)
        service.storage.mkdir()
        prepare(service.storage / "windows", spans)
        try:
            service.start()
            began = time.monotonic()
            busy = acks(service, scratch, 1, partial(analysed, service), ANALYSIS_S_MAX)
            busy_s = time.monotonic() - began
            end = time.monotonic() + IDLE_S
            idle = acks(service, scratch, 2, lambda: time.monotonic() > end, 2 * IDLE_S)
            lasted_s = service.metric("halo_analysis_duration_seconds")
        finally:
            service.stop()
    print(f"a window of {spans:,} spans was analysed in {lasted_s:.1f} s")
    line("afterwards", idle, IDLE_S)
    p99 = line("while it is analysed", busy, busy_s)
    print(f"limit: p99 below {P99_MS_MAX:.0f} ms: {'ok' if p99 < P99_MS_MAX else 'FAILED'}")
    return 0 if p99 < P99_MS_MAX else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
