"""The front and its engine as real processes: what stops a start, what is ready, what is left alone."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel.clock import ManualClock
from halo_otel.config.load import load
from halo_otel.selfobs import Counters
from halo_otel.service.front import SILENCE_S_MAX, Front
from halo_otel.service.link import Message
from tests.path.conftest import Service, eventually, free_port, get

OFFLINE = {"HALO_EXPORTERS_OTLP_ENABLED": "false"}
STOPPING_S = 30.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not started yet."""
    service = Service(tmp_path / "service", dict(OFFLINE))
    yield service
    service.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that runs, where names of directories need quoting."""
    service = Service(tmp_path_factory.mktemp("running") / "a ?b#c%20d", dict(OFFLINE))
    try:
        service.start()
        yield service
    finally:
        service.stop()


def refusal(service: Service) -> str:
    """What a start that fails tells in the end."""
    service.start(wait=False)
    assert service.process.popen is not None
    assert service.process.popen.wait(STOPPING_S) != 0
    text = service.process.log.read_text(encoding="utf-8")
    assert "Traceback" not in text, text
    return text.splitlines()[-1]


def engine_of(service: Service) -> int:
    """The process id of the engine."""
    assert service.process.popen is not None
    pid = service.process.popen.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return int(child)


def readiness(service: Service) -> tuple[int, str]:
    return get(f"http://127.0.0.1:{service.web_port}/readyz")


def test_a_second_service_on_the_same_storage_leaves_the_first_alone(running: Service) -> None:
    second = Service(
        running.directory,
        {**running.environ},
        grpc_port=free_port(),
        http_port=free_port(),
        web_port=free_port(),
    )
    second.process.log = running.directory / "second.log"
    assert "is in use by another halo-otel process" in refusal(second)
    answers(running)


def answers(service: Service) -> None:
    result = service.command("status")
    assert result.returncode == 0, result.stderr


def block_windows(service: Service) -> None:
    (service.storage / "windows").touch()


def block_socket(service: Service) -> None:
    (service.storage / "control.sock").mkdir()


def block_journal(service: Service) -> None:
    (service.storage / "journal").touch()


def silent_database(service: Service) -> None:
    here = f"127.0.0.1:{free_port()}"
    service.environ["HALO_REGISTRY_URL"] = f"postgresql://halo@{here}/halo?connect_timeout=2"


def registry_nowhere(service: Service) -> None:
    (service.storage / "file").touch()
    service.environ["HALO_REGISTRY_URL"] = f"sqlite:///{service.storage}/file/registry.sqlite"


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (block_windows, "window.directory: "),
        (block_socket, "storage.directory: cannot replace "),
        (block_journal, "journal.directory: "),
        (silent_database, "does not answer ("),
        (registry_nowhere, "registry.url: cannot create "),
    ],
)
def test_a_start_that_cannot_be_is_told_in_one_line(
    service: Service, block: Callable[[Service], None], told: str
) -> None:
    service.storage.mkdir(parents=True)
    block(service)
    assert told in refusal(service)


def test_a_registry_of_another_kind_is_a_configuration_error(service: Service) -> None:
    service.environ["HALO_REGISTRY_URL"] = "mysql://db/halo"
    for command in (["serve"], ["config", "check"]):
        result = service.command(*command)
        assert result.returncode == 2
        assert "registry.url: 'mysql' is not supported" in result.stderr


def test_the_storage_directory_may_have_any_name(running: Service) -> None:
    answers(running)
    assert (running.storage / "registry.sqlite").is_file()


def test_the_storage_directory_may_have_a_long_name(tmp_path: Path) -> None:
    service = Service(tmp_path / ("long" * 30), dict(OFFLINE))
    try:
        service.start()
        answers(service)
        assert (service.storage / "registry.sqlite").is_file()
    finally:
        service.stop()


def test_a_watcher_is_told_that_the_service_stopped(service: Service) -> None:
    service.start()
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(service.command, "watch")
        eventually(
            "the watcher is connected",
            lambda: connections(service.grpc_port),
        )
        service.stop()
        result = watching.result(STOPPING_S)
    assert result.returncode == 1
    assert result.stderr.startswith("the service stopped")
    assert result.stderr.count("\n") == 1


def connections(port: int) -> int:
    """Established TCP connections to a port of this machine (proc(5), /proc/net/tcp: state 01)."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text(encoding="utf-8").splitlines()[1:]
    ]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_a_full_journal_is_not_ready_until_it_has_room(service: Service) -> None:
    service.environ |= {
        "HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC_MAX_RECV_MSG_SIZE_MIB": "1",
        "HALO_RECEIVERS_OTLP_PROTOCOLS_HTTP_MAX_REQUEST_BODY_SIZE": "1MiB",
        "HALO_JOURNAL_MAX_BYTES": "1MiB",
        "HALO_JOURNAL_SEGMENT_BYTES": "64KiB",
    }
    service.start()
    engine = engine_of(service)
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"t" * 16, b"s" * 8, "x" * 400_000
    os.kill(engine, signal.SIGSTOP)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
            stub = TraceServiceStub(channel)
            for _ in range(2):
                stub.Export(request, timeout=20)
            with pytest.raises(grpc.RpcError, match=r"journal\.max_bytes"):
                stub.Export(request, timeout=20)
        assert readiness(service) == (503, "not ready: the journal is full\n")
    finally:
        os.kill(engine, signal.SIGCONT)
    eventually("it is ready again", lambda: readiness(service)[0] == 200)


def test_an_engine_that_is_silent_is_not_ready(tmp_path: Path) -> None:
    clock = ManualClock()
    front = Front(load(None, {"HALO_STORAGE_DIRECTORY": str(tmp_path)}), clock, Counters())
    assert front._not_ready() == "the engine is starting"
    front._engine.take(Message(ready=True))
    assert front._not_ready() is None
    front._on_message(Message(counters=()))
    clock.advance(SILENCE_S_MAX)
    assert front._not_ready() is None
    clock.advance(1)
    assert front._not_ready() == "the engine has not answered for 11 s"
    front._on_message(Message(counters=()))
    assert front._not_ready() is None
