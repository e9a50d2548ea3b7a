"""Far more than memory holds is thrown at a small service: it refuses in time, and keeps what it acknowledged."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel.config.machine import rss_bytes
from tests.faults.conftest import all_ingested, children, readiness, request, send, stored
from tests.faults.unfinished import send_unfinished
from tests.path.conftest import Service, eventually

LIMIT_MIB = 400
# What comes between two looks, and what is made of what was admitted.
SLACK_MIB = 100
MIB = 1 << 20


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(
        tmp_path / "service",
        {
            "HALO_EXPORTERS_OTLP_ENABLED": "false",
            "HALO_WINDOW_KEEP": "all",
            "HALO_WINDOW_MEMORY_LIMIT": "64MiB",
            "HALO_MEMORY_LIMITER_LIMIT_MIB": str(LIMIT_MIB),
            "HALO_RECEIVERS_OTLP_MAX_IN_FLIGHT_BYTES": "1GiB",  # not this is to be the limit
        },
    )
    yield service
    service.stop()


class Watched:
    """The most memory that the service had while this was entered."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.peak_mib = 0.0

    def _look(self) -> None:
        popen = self._service.process.popen
        assert popen is not None
        while not self._left.wait(0.02):
            pids = [popen.pid, *children(popen.pid)]
            self.peak_mib = max(self.peak_mib, sum(map(rss_bytes, pids)) / MIB)

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()


def channel(service: Service, number: int) -> grpc.Channel:
    """A connection of its own."""
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", number)]
    return grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}", options=options)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_does_not_fit_into_memory_is_refused_and_what_was_acknowledged_is_stored(
    service: Service,
) -> None:
    service.start()
    text = "word " * (2 * MIB // 5)
    acknowledged: list[int] = []
    refused: list[Any] = []

    def work(sender: int) -> None:
        """640 MiB in all, 20 MiB at a time, each until it is acknowledged."""
        with channel(service, 1) as one:
            for number in range(3):
                first = (sender * 3 + number) * 10
                message = request(first, 10, text)
                done = False
                while not done:
                    try:
                        TraceServiceStub(one).Export(message, timeout=60)
                        done = True
                    except grpc.RpcError as error:
                        refused.append(error)
                        threading.Event().wait(0.2)
                acknowledged.extend(range(first, first + 10))

    with Watched(service) as watched:
        in_threads(6, work)
        all_ingested(service)
    print(f"peak {watched.peak_mib:.0f} MiB, {len(refused)} refusals")
    assert {error.code() for error in refused} == {grpc.StatusCode.UNAVAILABLE}
    assert watched.peak_mib < LIMIT_MIB + SLACK_MIB
    assert service.metric("halo_engine_restarts_total") == 0
    assert stored(service) == sorted(acknowledged)
    assert len(acknowledged) == 180


def test_requests_that_never_end_do_not_fill_memory(service: Service) -> None:
    """Many connections, each with the most of a request and never its end."""
    service.start()
    size_bytes = 40 * MIB
    with Watched(service) as watched:
        taken = asyncio.run(send_unfinished(service.grpc_port, 40, size_bytes, 60))
    print(f"peak {watched.peak_mib:.0f} MiB, {sum(taken) / MIB:.0f} MiB taken")
    assert watched.peak_mib < LIMIT_MIB + SLACK_MIB
    assert max(taken) < size_bytes
    eventually("there is memory again", lambda: readiness(service)[0] == 200)
    send(service, request(0, 1))
    all_ingested(service)
    assert stored(service) == [0]
