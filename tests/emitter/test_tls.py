"""Findings go out over TLS: the Collector is checked, we show who we are, and rotations are taken up."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from halo_otel.clock import SystemClock
from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter.client import Answer, Client, Delayed, Delivered
from halo_otel.emitter.metrics import Metrics
from halo_otel.findings import SignalKind
from halo_otel.selfobs import Counters, Reading
from tests.certificates import Authority, Issued
from tests.emitter.conftest import Collector

PAYLOAD = '{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}'


class Secured:
    """A Collector that asks for client certificates of `clients`, and our own files."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self.clients = self.authority
        self.own = Issued(directory / "own.pem", directory / "own.key")
        self.authority.issue("ours").copy_to(self.own.cert, self.own.key)
        self._server = self.authority.issue("collector", names="DNS:collector.example")
        self.collector = Collector()

    async def start(self) -> None:
        pair = (self._server.key.read_bytes(), self._server.cert.read_bytes())
        ca = self.clients.cert.read_bytes()
        self.collector.credentials = grpc.ssl_server_credentials([pair], ca, True)
        await self.collector.start()

    def config(self, **tls: object) -> OtlpExporter:
        keys = {
            "insecure": False,
            "ca_file": self.authority.cert,
            "cert_file": self.own.cert,
            "key_file": self.own.key,
            "server_name_override": "collector.example",
            **tls,
        }
        given = {key: value for key, value in keys.items() if value is not None}
        return OtlpExporter.model_validate(
            {"endpoint": self.collector.endpoint, "timeout": 10, "tls": given}
        )


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    secured = Secured(tmp_path)
    await secured.start()
    yield secured
    await secured.collector.stop()


async def sent(client: Client) -> Answer:
    return await client.export(SignalKind.LOG, [PAYLOAD])


async def test_both_sides_are_checked(secured: Secured, tmp_path: Path) -> None:
    async with Client(secured.config(), Counters()) as client:
        assert isinstance(await sent(client), Delivered)
    assert len(secured.collector.records()) == 1
    strangers = Authority(tmp_path, "strangers")
    for wrong in (
        {"ca_file": strangers.cert},  # not who we think it is
        {"server_name_override": "other.example"},
        {"server_name_override": None},  # its certificate is not for localhost
        {"cert_file": None, "key_file": None},  # we do not say who we are
    ):
        async with Client(secured.config(**wrong), Counters()) as client:
            answer = await sent(client)
        assert isinstance(answer, Delayed), wrong
        assert answer.why.startswith("UNAVAILABLE")
    assert len(secured.collector.records()) == 1


async def test_our_rotated_certificate_is_shown_at_the_next_connection(
    secured: Secured, tmp_path: Path
) -> None:
    async with Client(secured.config(), Counters()) as client:
        assert isinstance(await sent(client), Delivered)
        await secured.collector.stop()
        secured.clients = Authority(tmp_path, "next")
        await secured.start()  # on the same port
        assert isinstance(await sent(client), Delayed)
        # Half of a rotation: what cannot be read is told, and what was there before is kept.
        moved = secured.own.key.rename(tmp_path / "moved")
        answer = await sent(client)
        assert isinstance(answer, Delayed)
        assert "exporters.otlp.tls.key_file" in answer.why
        moved.rename(secured.own.key)
        secured.clients.issue("ours").copy_to(secured.own.cert, secured.own.key)
        assert isinstance(await sent(client), Delayed)  # the last of the old, which reads the new
        assert isinstance(await sent(client), Delivered)


async def test_metrics_go_the_same_way(secured: Secured, tmp_path: Path) -> None:
    counters = Counters()
    readings = [Reading("halo.analysis.runs", (), 3)]
    metrics = Metrics(
        secured.config(), lambda: readings, counters, SystemClock(), interval_s=3600, replica="one"
    )
    async with metrics:
        await metrics.flush()
        assert len(secured.collector.requests["metrics"]) == 1
        await secured.collector.stop()
        secured.clients = Authority(tmp_path, "next")
        await secured.start()
        secured.clients.issue("ours").copy_to(secured.own.cert, secured.own.key)
        await metrics.flush()
        await metrics.flush()
        assert len(secured.collector.requests["metrics"]) == 2
    assert counters.value("halo.emitter.failed_attempts", kind="metric") == 1


async def test_a_rotated_token_goes_with_the_next_request(
    collector: Collector, tmp_path: Path
) -> None:
    file = tmp_path / "headers.yaml"
    file.write_text("Authorization: Bearer one", encoding="ascii")
    config = OtlpExporter(endpoint=collector.endpoint, headers_file=file)
    counters = Counters()
    readings = [Reading("halo.analysis.runs", (), 3)]
    metrics = Metrics(
        config, lambda: readings, counters, SystemClock(), interval_s=3600, replica="one"
    )
    async with Client(config, counters) as client, metrics:
        for text, token in (
            ("Authorization: Bearer one", "one"),
            ("Authorization: Bearer two", "two"),
            ("Authorization: [half a file", "two"),
            ("Authorization: Bearer three", "three"),
        ):
            file.write_text(text, encoding="ascii")
            assert isinstance(await sent(client), Delivered)
            assert collector.metadata["authorization"] == f"Bearer {token}"
            collector.metadata.clear()
            await metrics.flush()
            assert collector.metadata["authorization"] == f"Bearer {token}"
    assert counters.value("halo.emitter.failed_reloads") == 2  # each of them reads it
