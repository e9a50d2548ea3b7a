"""What is done to the service and the Collector while traffic flows, on a schedule made from a seed."""

import gzip
import os
import resource
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.soak.rig import Rig

SLOW_CLIENTS: Final = 40
SLOW_S: Final = 8
STOPPED_S: Final = 5.0
FULL_S: Final = 4.0
FULL_BYTES: Final = 1 << 20
DEEP: Final = 5_000
BOMB_BYTES: Final = 200 << 20


class Faults:
    """One method a fault; each returns when the fault is over or the next process is started."""

    def __init__(self, rig: Rig, random: Random) -> None:
        self._rig = rig
        self._random = random
        self._ended = threading.Event()  # never set: to wait on
        self.done: list[str] = []
        self.restarting: tuple[Callable[[], None], ...] = (
            self.kill_engine,
            self.kill_service,
            self.stop_service,
        )
        self.gentle: tuple[Callable[[], None], ...] = (
            self.hold_engine,
            self.restart_collector,
            self.fill_disk,
            self.slow_clients,
            self.poison,
        )

    def in_turn(self, faults: tuple[Callable[[], None], ...]) -> Iterator[Callable[[], None]]:
        """All of `faults` in an order of chance, again and again."""
        while True:
            yield from self._random.sample(faults, len(faults))

    def strike(self, fault: Callable[[], None]) -> None:
        self.done.append(fault.__name__)
        fault()

    def kill_engine(self) -> None:
        engine = self._rig.processes().get("engine")
        if engine is not None:
            os.kill(engine, signal.SIGKILL)

    def kill_service(self) -> None:
        self._rig.service.process.kill()
        self._rig.service.start(wait=False)

    def stop_service(self) -> None:
        self._rig.service.wait_ready()  # a process that has only begun knows of no signal yet
        code = self._rig.service.process.stop()
        assert code == 0, f"the service ended with code {code}"
        self._rig.service.start(wait=False)

    def hold_engine(self) -> None:
        """The engine gets no CPU for a while, as on a machine that swaps."""
        engine = self._rig.processes().get("engine")
        if engine is not None:
            os.kill(engine, signal.SIGSTOP)
            self._ended.wait(STOPPED_S)
            os.kill(engine, signal.SIGCONT)

    def restart_collector(self) -> None:
        self._rig.collector.stop()
        self._rig.collector.start()

    def fill_disk(self) -> None:
        """The journal cannot grow: see tests/faults/test_disk.py for what stands for a full disk."""
        front = self._rig.processes()["front"]
        none = resource.RLIM_INFINITY
        resource.prlimit(front, resource.RLIMIT_FSIZE, (FULL_BYTES, none))
        self._ended.wait(FULL_S)
        resource.prlimit(front, resource.RLIMIT_FSIZE, (none, none))

    def slow_clients(self) -> None:
        """Connections that send a byte a second and never a whole request (slow-loris)."""
        service = self._rig.service
        beginnings = {
            service.http_port: b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
            service.grpc_port: b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
            service.web_port: b"GET /metrics HTTP/1.1\r\nX-Slow: ",
        }
        open_ = []
        for port, beginning in beginnings.items():
            for _ in range(SLOW_CLIENTS):
                try:
                    connection = socket.create_connection(("127.0.0.1", port), timeout=2)
                    connection.sendall(beginning)
                except OSError:
                    continue
                open_.append(connection)
        for _ in range(SLOW_S):
            self._ended.wait(1.0)
            for connection in open_:
                try:
                    connection.sendall(b"x")
                except OSError:
                    continue  # it was cut off, as it should be
        for connection in open_:
            connection.close()

    def poison(self) -> None:
        """Requests that no decoder likes. Whatever the answer, the service goes on."""
        for body, encoding in poisons(self._random):
            request = urllib.request.Request(
                f"http://127.0.0.1:{self._rig.service.http_port}/v1/traces",
                data=body,
                headers={
                    "Content-Type": "application/x-protobuf",
                    **({"Content-Encoding": encoding} if encoding else {}),
                },
            )
            try:
                urllib.request.urlopen(request, timeout=20).close()
            except urllib.error.HTTPError as error:
                error.close()
            except OSError:
                continue


def poisons(random: Random) -> Iterator[tuple[bytes, str]]:
    """Bodies and their encoding."""
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add(name="poison")
    span.trace_id, span.span_id = b"\xff" * 16, random.randbytes(8)
    whole = message.SerializeToString()
    yield random.randbytes(1000), ""
    yield whole[:-3], ""
    yield gzip.compress(bytes(BOMB_BYTES), 1), "gzip"
    yield b"\x1f\x8b" + random.randbytes(100), "gzip"
    yield whole.replace(b"poison", b"pois\xff\xfe"), ""
    value = AnyValue(string_value="deep")
    for _ in range(50):  # protobuf itself refuses to write beyond 100
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    span.attributes.add(key="deep").value.CopyFrom(value)
    yield message.SerializeToString(), ""
    for number in range(DEEP):
        span.attributes.add(key=f"key {number}").value.string_value = "\x1b[31m\u202e\x00"
    yield message.SerializeToString(), ""
