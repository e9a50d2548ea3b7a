"""The engine's process dies, hangs or is told to stop: acknowledging goes on and nothing is lost."""

import os
import signal
import threading
from functools import partial

from halo_otel.ingest.trial import FILE_NAME
from tests.faults.conftest import all_ingested, engine_of, readiness, request, send, stored
from tests.path.conftest import Service, eventually

FORCED_S = 10.0  # a stop in good order waits 20 s for an engine that hangs


def wait_for_restarts(service: Service, count: int) -> None:
    """Wait until so many engines were started in the place of one that died."""
    eventually(
        "the engine is started again",
        lambda: service.metric("halo_engine_restarts_total") == count,
    )


def test_a_killed_engine_is_started_again_and_nothing_is_lost_or_doubled(service: Service) -> None:
    service.start()
    for kill in range(3):
        send(service, request(100 * kill, 50))
        os.kill(engine_of(service), signal.SIGKILL)
        send(service, request(100 * kill + 50, 50))  # acknowledged without an engine
        wait_for_restarts(service, kill + 1)
        all_ingested(service)
    assert stored(service) == list(range(300))


def test_kills_from_outside_blame_no_request(service: Service) -> None:
    service.start()
    large = request(0, 40_000)  # it takes long enough to be met in the midst of it
    sender = threading.Thread(target=send, args=(service, large))
    sender.start()
    noted_ns = 0
    for kill in range(2):
        noted_ns = eventually("it is under way", partial(_under_way, service, noted_ns))
        os.kill(engine_of(service), signal.SIGKILL)
        wait_for_restarts(service, kill + 1)
    sender.join()
    all_ingested(service)
    assert not (service.storage / "windows" / "quarantine").exists()
    assert stored(service) == list(range(40_000))


def _under_way(service: Service, after_ns: int) -> int | None:
    """When the engine noted that it is at a request (see `ingest.trial`), if that is after `after_ns`."""
    path = service.storage / "windows" / FILE_NAME
    if not path.exists() or not any(path.read_bytes()[8:16]):
        return None
    noted_ns = path.stat().st_mtime_ns
    return noted_ns if noted_ns > after_ns else None


def test_who_asks_is_told_that_the_engine_died(service: Service) -> None:
    service.environ["HALO_WINDOW_STALL_TIMEOUT"] = "1h"
    service.start()
    os.kill(engine_of(service), signal.SIGKILL)
    told = eventually(
        "it is told", lambda: next((r for r in [readiness(service)] if r[0] == 503), None)
    )
    assert "is started again, for it ended: the engine process ended with code -9" in told[1]
    service.wait_ready()


def test_an_engine_that_stands_still_is_killed_and_started_again(service: Service) -> None:
    service.environ["HALO_WINDOW_STALL_TIMEOUT"] = "2s"
    service.start()
    os.kill(engine_of(service), signal.SIGSTOP)
    send(service, request(0, 10))
    wait_for_restarts(service, 1)
    all_ingested(service)
    assert stored(service) == list(range(10))


def test_a_stop_in_the_midst_of_ingest_is_clean_and_the_next_start_goes_on(
    service: Service,
) -> None:
    service.start()
    engine = engine_of(service)
    os.kill(engine, signal.SIGSTOP)
    for number in range(20):
        send(service, request(number * 200, 200, text="x" * 500))
    os.kill(engine, signal.SIGCONT)
    assert service.process.stop() == 0
    service.start()
    all_ingested(service)
    assert stored(service) == list(range(4000))


def test_a_second_signal_ends_the_service_at_once(service: Service) -> None:
    service.start()
    os.kill(engine_of(service), signal.SIGSTOP)
    send(service, request(0, 10))
    popen = service.process.popen
    assert popen is not None
    popen.send_signal(signal.SIGTERM)
    eventually("it is stopping", lambda: readiness(service)[0] != 200)
    popen.send_signal(signal.SIGTERM)
    assert popen.wait(FORCED_S) == 128 + signal.SIGTERM
    service.start()
    all_ingested(service)
    assert stored(service) == list(range(10))
