"""Every file in `collector-config/`, judged and run by the real Collector."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    TraceServiceStub,
    add_TraceServiceServicer_to_server,
)

from halo_otel.config.load import OTHER_VARIABLES
from halo_otel.otlp.names import SCOPE_NAME
from tests.collector_config.conftest import Running

FOLDER = Path(__file__).parents[2] / "collector-config"
FILES = sorted(FOLDER.glob("*.yaml"))
# Where findings end in files or on standard error; test_grafana.py has backends.
TOLD_HERE = [
    path for path in FILES if re.search(r"^  (file|debug)\b", path.read_text("utf-8"), re.M)
]
SPANS = 200


class Target(TraceServiceServicer):  # type: ignore[misc]  # the generated base class has no types
    """What halo-otel is to the Collector: a gRPC service that takes everything."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []

    def Export(
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        return ExportTraceServiceResponse()


def traces(name: str, count: int) -> ExportTraceServiceRequest:
    """A request of `count` spans."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(1, count + 1):
        scope.spans.add(
            name=name, trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big")
        )
    return request


def finding() -> ExportLogsServiceRequest:
    """A request of one log record as halo-otel sends it."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.scope.name = SCOPE_NAME
    record = scope.log_records.add(event_name="halo.finding")
    record.body.string_value = "a finding"
    return request


def test_every_scenario_is_there() -> None:
    assert {path.stem for path in FILES} == {
        "smallest",
        "recommended",
        "http",
        "genai-only",
        "tail-sampling",
        "agents-logs",
        "replicas",
        "grafana",
        "signoz",
        "findings-to-files",
    }


def test_the_readme_has_a_line_for_each_file() -> None:
    readme = FOLDER.with_name("README.md").read_text(encoding="utf-8")
    table = readme.partition("| [`collector-config/`](collector-config) | |\n")[2].partition(
        "\n\n"
    )[0]
    assert sorted(re.findall(r"^\| `([\w-]+\.yaml)` \|", table, re.M)) == [p.name for p in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_says_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_variables_have_defaults_and_do_not_disturb_the_service(path: Path) -> None:
    """A shell that exports them for the Collector may also start `halo-otel serve`."""
    variables = re.findall(r"\$\{env:(\w+)(:-[^}]+)?\}", path.read_text(encoding="utf-8"))
    assert variables
    for name, default in variables:
        assert default, f"{name} has no default"
        assert name in OTHER_VARIABLES or name.startswith("OTELCOL_"), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_findings_never_reach_the_halo_pipeline_by_a_door_of_their_own(path: Path) -> None:
    pipelines = yaml.safe_load(path.read_text(encoding="utf-8"))["service"]["pipelines"]
    for name, pipeline in pipelines.items():
        if "otlp/halo" in pipeline["receivers"]:
            exporters = pipeline["exporters"]
            assert not [e for e in exporters if e.endswith("/halo")], name


@pytest.mark.collector
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_collector_finds_each_file_valid(path: Path, collector_binary: Path) -> None:
    command = [str(collector_binary), "validate", f"--config={path}"]
    judged = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert judged.returncode == 0, judged.stderr
    assert "deprecated" not in judged.stderr


@pytest.mark.collector
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_collector_runs_with_each_file(path: Path, collector: Running) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    port = collector.ports["FINDINGS" if "otlp/halo" in config["receivers"] else "GRPC"]
    with collector.started(path) as process:
        # It says that it is ready a moment before it listens to signals.
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=10)
        assert collector.stop(process) == 0, collector.text()
    assert "deprecated" not in collector.text()


@pytest.mark.collector
@pytest.mark.parametrize("path", TOLD_HERE, ids=lambda path: path.stem)
def test_findings_come_back_and_go_on(path: Path, collector: Running) -> None:
    """Through the door of their own where there is one, else through the agents'."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    own_door = "otlp/halo" in config["receivers"]
    port = collector.ports["FINDINGS" if own_door else "GRPC"]
    with collector.started(path) as process:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            LogsServiceStub(channel).Export(finding(), timeout=10, wait_for_ready=True)
        if "file/halo_findings" in config["exporters"]:
            file = collector.directory / "halo-findings.jsonl"
            collector.wait(process, lambda: file.exists() and file.stat().st_size > 0)
            [line] = file.read_text(encoding="utf-8").splitlines()
            [record] = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
            assert record["body"] == {"stringValue": "a finding"}
        else:
            collector.wait(process, lambda: '"log records": 1' in collector.text())


@pytest.mark.collector
def test_a_full_queue_is_never_felt_by_the_agents(collector: Running) -> None:
    """halo-otel is down and its queue takes next to nothing: agents and other exporters go on."""
    file = collector.directory / "other.jsonl"
    with collector.started(
        FOLDER / "recommended.yaml",
        "yaml:exporters::otlp_grpc/halo::sending_queue::queue_size: 2000",
        "yaml:exporters::otlp_grpc/halo::sending_queue::batch: {sizer: bytes, flush_timeout: 10ms,"
        " min_size: 100, max_size: 1000}",
        f"yaml:exporters::file/other: {{path: {file}, flush_interval: 50ms}}",
        "yaml:service::pipelines::traces::exporters: [file/other, forward/halo]",
    ) as process:
        with grpc.insecure_channel(f"127.0.0.1:{collector.ports['GRPC']}") as channel:
            stub = TraceServiceStub(channel)
            for number in range(SPANS):
                stub.Export(traces(f"span {number}", 1), timeout=10, wait_for_ready=True)
        collector.wait(process, lambda: "queue is full" in collector.text())
        collector.wait(process, lambda: f"span {SPANS - 1}" in file.read_text(encoding="utf-8"))
    assert file.read_text(encoding="utf-8").count('"name":"span ') == SPANS


@pytest.mark.collector
def test_the_queue_on_disk_survives_a_kill(collector: Running) -> None:
    """halo-otel is down, the Collector is killed; the next one sends what was queued.

    The file grows before a transaction is committed: only when the second is being written the first is safe.
    """
    config = FOLDER / "recommended.yaml"
    queue = collector.directory / "queue"
    with collector.started(config) as process:
        with grpc.insecure_channel(f"127.0.0.1:{collector.ports['GRPC']}") as channel:
            for name in ("first ", "second "):
                request = traces(name * 1_000, 10)
                TraceServiceStub(channel).Export(request, wait_for_ready=True)
                collector.wait(process, partial(_holds, queue, name * 100))
        process.kill()
        process.wait()
    target = Target()
    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(target, server)
    collector.nobody.close()
    server.add_insecure_port(f"127.0.0.1:{collector.halo_port}")
    server.start()
    try:
        with collector.started(config) as process:
            collector.wait(process, lambda: bool(target.requests))
    finally:
        server.stop(None).wait()
    names = [
        span.name
        for request in target.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert sum(name.startswith("first ") for name in names) == 10


def _holds(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.iterdir())
