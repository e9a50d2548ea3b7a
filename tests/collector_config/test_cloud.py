"""What deploy/README.md lays over recommended.yaml for a backend in somebody's cloud, as it stands there."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.collector_config.conftest import Running
from tests.collector_config.test_files import FOLDER, finding, traces
from tests.docs.pages import ROOT, Page

PAGE = Page(path=ROOT / "deploy" / "README.md")
BASIC = "Basic NDcxMTpnbGNfbm90LWEta2V5"  # 4711:glc_not-a-key


@contextmanager
def gateway() -> Iterator[tuple[int, set[tuple[str, str]]]]:
    """A port, and the path and the authorization of each request that came there."""
    came: set[tuple[str, str]] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            came.add((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, came
        finally:
            server.shutdown()
            thread.join()


def write_key(directory: Path) -> None:
    """By the command of the page."""
    (line,) = [line for line in PAGE.text.splitlines() if line.startswith("printf ")]
    environ = {
        "INSTANCE_ID": "4711",
        "ACCESS_POLICY_TOKEN": "glc_not-a-key",
        "PATH": "/usr/bin:/bin",
    }
    subprocess.run(["sh", "-c", line], cwd=directory, env=environ, check=True)


@pytest.mark.collector
def test_traces_and_findings_reach_the_cloud_with_the_key(
    tmp_path: Path, collector: Running
) -> None:
    (overlay,) = PAGE.blocks("yaml")
    (tmp_path / "cloud.yaml").write_text(overlay, encoding="utf-8")
    write_key(tmp_path)
    wanted = {("/otlp/v1/logs", BASIC), ("/otlp/v1/traces", BASIC)}
    with gateway() as (port, came):
        more = (
            str(tmp_path / "cloud.yaml"),
            f"yaml:exporters::otlp_http/cloud::endpoint: http://127.0.0.1:{port}/otlp",
        )
        with collector.started(FOLDER / "recommended.yaml", *more) as process:
            with grpc.insecure_channel(f"127.0.0.1:{collector.ports['GRPC']}") as channel:
                TraceServiceStub(channel).Export(traces("run", 3), timeout=10, wait_for_ready=True)
            with grpc.insecure_channel(f"127.0.0.1:{collector.ports['FINDINGS']}") as channel:
                LogsServiceStub(channel).Export(finding(), timeout=10, wait_for_ready=True)
            collector.wait(process, lambda: came >= wanted)
    assert came == wanted
