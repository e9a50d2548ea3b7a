"""The real parts of the whole path: the service, a Collector, and what they leave on disk."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).parents[2]
WAIT_S = 120.0
T = TypeVar("T")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(what: str, ask: Callable[[], T | None], seconds: float = WAIT_S) -> T:
    """The first truthy answer of `ask`: real processes are waited for by asking them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        threading.Event().wait(0.1)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def get(url: str) -> tuple[int, str]:
    """Status and body of a GET; status 0 when nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@dataclass
class Process:
    """A child process with its log in a file."""

    log: Path
    popen: subprocess.Popen[bytes] | None = None

    def spawn(self, command: list[str], environ: dict[str, str]) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environ},
                cwd=self.log.parent,
            )

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def stop(self) -> int:
        """SIGTERM and wait."""
        if self.popen is None:
            return 0
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout=40)

    def kill(self) -> None:
        """kill -9."""
        assert self.popen is not None
        self.popen.kill()
        self.popen.wait(timeout=20)


@dataclass
class Service:
    """`halo-otel serve` with its own storage directory and ports."""

    directory: Path
    environ: dict[str, str] = field(default_factory=dict)
    grpc_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = Process(self.directory / "serve.log")

    @property
    def storage(self) -> Path:
        return self.directory / "storage"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "HALO_STORAGE_DIRECTORY": str(self.storage),
            "HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC_ENDPOINT": f"127.0.0.1:{self.grpc_port}",
            "HALO_RECEIVERS_OTLP_PROTOCOLS_HTTP_ENDPOINT": f"127.0.0.1:{self.http_port}",
            "HALO_WEB_ENDPOINT": f"127.0.0.1:{self.web_port}",
            **self.environ,
        }

    def start(self, wait: bool = True) -> None:
        self.process.spawn([sys.executable, "-m", "halo_otel", "serve"], self.settings)
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.process.running, self.process.log.read_text(encoding="utf-8")
            return get(f"http://127.0.0.1:{self.web_port}/readyz")[0] == 200

        eventually("the service is ready", ready)

    def metric(self, name: str) -> float:
        """The sum of a metric's readings in `/metrics`; 0 when there is none."""
        _, text = get(f"http://127.0.0.1:{self.web_port}/metrics")
        return _metric(text, name)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same installation, with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "halo_otel", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **self.settings},
        )

    def stop(self) -> None:
        if self.process.popen is not None:
            self.process.stop()


def _metric(text: str, name: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


COLLECTOR = """
receivers:
  otlp/agents: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{agents}", max_recv_msg_size_mib: 64}}}}}}
  otlp/findings: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{findings}"}}}}}}
exporters:
  {exporter}:
    endpoint: {target}
    tls: {{insecure: true}}
    compression: {compression}
    timeout: 10s
    retry_on_failure: {{initial_interval: 200ms, max_interval: 1s, max_elapsed_time: 0s}}
    sending_queue: {{queue_size: 100000, num_consumers: 10}}
  file/logs: {{path: "{directory}/logs.jsonl", flush_interval: 100ms}}
  file/traces: {{path: "{directory}/traces.jsonl", flush_interval: 100ms}}
  file/metrics: {{path: "{directory}/metrics.jsonl", flush_interval: 100ms}}
service:
  telemetry:
    logs: {{level: warn}}
    metrics:
      level: normal
      readers:
        - pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {telemetry}}}}}}}
  pipelines:
    traces/agents: {{receivers: [otlp/agents], exporters: ["{exporter}"]}}
    logs/agents: {{receivers: [otlp/agents], exporters: ["{exporter}"]}}
    logs/findings: {{receivers: [otlp/findings], exporters: [file/logs]}}
    traces/findings: {{receivers: [otlp/findings], exporters: [file/traces]}}
    metrics/findings: {{receivers: [otlp/findings], exporters: [file/metrics]}}
"""


@dataclass
class Collector:
    """The real Collector between the agents and the service, and behind the service."""

    binary: Path
    directory: Path
    service: Service
    exporter: str = "otlp_grpc/halo"
    compression: str = "gzip"
    agents_port: int = field(default_factory=free_port)
    findings_port: int = field(default_factory=free_port)
    telemetry_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = Process(self.directory / "collector.log")
        over_http = self.exporter.startswith("otlp_http")
        target = (
            f"http://127.0.0.1:{self.service.http_port}"
            if over_http
            else f"127.0.0.1:{self.service.grpc_port}"
        )
        text = COLLECTOR.format(
            agents=self.agents_port,
            findings=self.findings_port,
            telemetry=self.telemetry_port,
            exporter=self.exporter,
            target=target,
            compression=self.compression,
            directory=self.directory,
        )
        (self.directory / "config.yaml").write_text(text, encoding="utf-8")

    def start(self) -> None:
        config = str(self.directory / "config.yaml")
        self.process.spawn([str(self.binary), "--config", config], {})

        def up() -> bool:
            assert self.process.running, self.process.log.read_text(encoding="utf-8")
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex(("127.0.0.1", self.agents_port)) == 0

        eventually("the Collector listens", up)

    def sent_spans(self) -> int:
        """Spans the Collector counts as delivered to the service."""
        _, text = get(f"http://127.0.0.1:{self.telemetry_port}/metrics")
        return int(
            _metric(text, "otelcol_exporter_sent_spans")
            + _metric(text, "otelcol_exporter_sent_spans_total")
            + _metric(text, "otelcol_exporter_sent_spans__spans__total")
        )

    def came_back(self, signal_name: str) -> list[dict[str, Any]]:
        """The requests of one signal that halo-otel sent back, as the file exporter wrote them."""
        path = self.directory / f"{signal_name}.jsonl"
        if not path.exists():
            return []
        requests = []
        # Only "\n" ends a line: JSON texts may hold others, such as U+2028.
        for line in path.read_text(encoding="utf-8").split("\n"):
            with contextlib.suppress(json.JSONDecodeError):  # the last line may be half written
                requests.append(json.loads(line))
        return requests

    def stop(self) -> None:
        if self.process.popen is not None:
            self.process.stop()


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services that are stopped at the end of the test."""
    started: list[Service] = []

    def start(wait: bool = True, **environ: str) -> Service:
        service = Service(tmp_path / f"service-{len(started)}", environ)
        started.append(service)
        service.start(wait)
        return service

    yield start
    for service in started:
        service.stop()
