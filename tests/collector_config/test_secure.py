"""The real Collector and halo-otel over mutual TLS: spans come with a bearer token, findings go back."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter.client import Client, Delayed, Delivered
from halo_otel.findings import SignalKind
from halo_otel.selfobs import Counters
from tests.certificates import Authority
from tests.collector_config.conftest import Running
from tests.collector_config.test_files import FOLDER, traces
from tests.receiver.rig import Rig, Ticking, running

FINDING = '{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}'


def overrides(exporter: str, endpoint: str, token: str, tls: dict[str, Path]) -> list[str]:
    """What a user changes in our files to reach a halo-otel that asks who they are."""
    given = {"insecure": "false", **tls}
    lines = [f"yaml:exporters::{exporter}::tls::{key}: {value}" for key, value in given.items()]
    return [
        *lines,
        f"yaml:exporters::{exporter}::endpoint: {endpoint}",
        f'yaml:exporters::{exporter}::headers: {{authorization: "Bearer {token}"}}',
    ]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def asking(authority: Authority, tmp_path: Path) -> dict[str, Any]:
    """A receiver that asks for a certificate and for a token."""
    server = authority.issue("server")
    tokens = tmp_path / "tokens"
    tokens.write_text("good-token", encoding="ascii")
    tls = {
        "cert_file": str(server.cert),
        "key_file": str(server.key),
        "client_ca_file": str(authority.cert),
    }
    keys = {"tls": tls, "auth": {"tokens_file": str(tokens)}}
    return {"grpc_keys": keys, "http_keys": keys}


@pytest.fixture
def shown(authority: Authority) -> dict[str, Path]:
    """What the Collector trusts and shows."""
    own = authority.issue("collector")
    return {"ca_file": authority.cert, "cert_file": own.cert, "key_file": own.key}


@pytest.mark.collector
@pytest.mark.parametrize(("file", "name"), [("smallest", "otlp_grpc"), ("http", "otlp_http")])
async def test_spans_arrive_with_certificate_and_token_and_not_without(
    file: str,
    name: str,
    collector: Running,
    asking: dict[str, Any],
    shown: dict[str, Path],
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "journal", clock=Ticking(), **asking) as rig:
        where = {
            "otlp_grpc": f"localhost:{rig.grpc_server.port}",
            "otlp_http": f"https://localhost:{rig.http_server.port}",
        }[name]
        arrived = asyncio.Event()
        rig.journal.on_durable(lambda _: arrived.set())
        good = overrides(f"{name}/halo", where, "good-token", shown)
        await asyncio.to_thread(send, collector, file, good)
        async with asyncio.timeout(30):
            await arrived.wait()
        frames = len(rig.frames())
        assert frames
        bad = overrides(f"{name}/halo", where, "wrong-token", shown)
        await asyncio.to_thread(send, collector, file, bad, "nauthenticated")
        assert len(rig.frames()) == frames
        assert refused(rig, name.removeprefix("otlp_")) == 1


def refused(rig: Rig, transport: str) -> float:
    return rig.counters.value(
        "halo.receiver.unauthenticated_requests", transport=transport, reason="unknown"
    )


def send(collector: Running, file: str, changes: list[str], log: str = "") -> None:
    """A request of spans through a Collector that runs until they went out, or until its log says `log`."""
    with collector.started(FOLDER / f"{file}.yaml", *changes) as process:
        with grpc.insecure_channel(f"127.0.0.1:{collector.ports['GRPC']}") as channel:
            TraceServiceStub(channel).Export(traces("s", 3), timeout=10, wait_for_ready=True)
        if log:
            collector.wait(process, lambda: log in collector.text())
        collector.stop(process)  # what is queued is sent before it ends


@pytest.mark.collector
async def test_findings_go_to_a_collector_that_asks_for_a_certificate(
    collector: Running, authority: Authority, shown: dict[str, Path], tmp_path: Path
) -> None:
    server = authority.issue("door")
    door = "yaml:receivers::otlp/halo::protocols::grpc::tls: {{cert_file: {}, key_file: {}, client_ca_file: {}}}"
    secured = door.format(server.cert, server.key, authority.cert)
    tls = {key: str(file) for key, file in shown.items()}
    endpoint = f"localhost:{collector.ports['FINDINGS']}"

    async def answers() -> list[object]:
        got: list[object] = []
        for settings in (tls, {"ca_file": tls["ca_file"]}):
            keys = {"endpoint": endpoint, "tls": {**settings, "insecure": False}}
            async with Client(OtlpExporter.model_validate(keys), Counters()) as client:
                got.append(await client.export(SignalKind.LOG, [FINDING]))
        return got

    def run() -> list[object]:
        with collector.started(FOLDER / "findings-to-files.yaml", secured) as process:
            got = asyncio.run(answers())
            collector.stop(process)  # what it took is in its file then
            return got

    welcome, stranger = await asyncio.to_thread(run)
    assert isinstance(welcome, Delivered)
    assert isinstance(stranger, Delayed)
    [line] = (collector.directory / "halo-findings.jsonl").read_text(encoding="utf-8").splitlines()
    assert '"stringValue":"x"' in line
