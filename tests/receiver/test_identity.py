"""TLS of the servers: certificates that are good, bad, and rotated under load."""

import asyncio
import logging
import ssl
import subprocess
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from halo_otel.config.transport import HttpTls, ServerTls
from halo_otel.errors import ConfigError
from halo_otel.receiver.identity import Identity
from tests.certificates import Authority, Issued
from tests.receiver.rig import Rig, Ticking, Trusted, running, trace_request

REQUEST = trace_request().SerializeToString()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def served(tmp_path: Path, authority: Authority) -> Issued:
    """The files that the servers are told of."""
    files = Issued(tmp_path / "server.pem", tmp_path / "server.key")
    authority.issue("first").copy_to(files.cert, files.key)
    return files


def tls(files: Issued, client_ca: Path | None = None) -> dict[str, str]:
    keys = {"cert_file": str(files.cert), "key_file": str(files.key)}
    return {**keys, **({} if client_ca is None else {"client_ca_file": str(client_ca)})}


def both(files: Issued, client_ca: Path | None = None) -> dict[str, Any]:
    keys = {"tls": tls(files, client_ca)}
    return {"grpc_keys": {**keys}, "http_keys": {**keys}}


async def shown(port: int, host: str = "127.0.0.1") -> bytes:
    """The certificate that a new connection is shown, in DER."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return der


def der(issued: Issued) -> bytes:
    return ssl.PEM_cert_to_DER_cert(issued.cert.read_text(encoding="ascii"))


async def test_both_protocols_speak_tls_and_nothing_else(
    tmp_path: Path, authority: Authority, served: Issued
) -> None:
    trusted = Trusted(authority=authority.cert)
    async with running(tmp_path / "journal", trusted=trusted, **both(served)) as rig:
        await rig.export("traces", REQUEST)
        assert (await rig.post("traces", REQUEST)).status_code == 200
        target = f"127.0.0.1:{rig.grpc_server.port}"
        async with grpc.aio.insecure_channel(target) as plain:
            call = plain.unary_unary("/grpc.health.v1.Health/Check", None, None)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"", timeout=10)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://127.0.0.1:{rig.http_server.port}/")
        closed = rig.counters.value(
            "halo.receiver.closed_connections", transport="http", reason="handshake"
        )
        assert closed == 1


async def test_a_client_without_a_certificate_of_the_ca_is_not_let_in(
    tmp_path: Path, authority: Authority, served: Issued
) -> None:
    known = Trusted(authority=authority.cert, own=authority.issue("client"))
    keys = both(served, authority.cert)
    async with running(tmp_path / "journal", trusted=known, **keys) as rig:
        await rig.export("traces", REQUEST)
        assert (await rig.post("traces", REQUEST)).status_code == 200
        stranger = Authority(tmp_path, "strangers").issue("client")
        for own in (None, stranger):
            await let_in_nowhere(rig, Trusted(authority=authority.cert, own=own))


async def let_in_nowhere(rig: Rig, trusted: Trusted) -> None:
    target = f"127.0.0.1:{rig.grpc_server.port}"
    async with grpc.aio.secure_channel(target, trusted.credentials()) as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    async with httpx.AsyncClient(trust_env=False, verify=trusted.context()) as client:
        with pytest.raises(httpx.TransportError):
            await client.post(f"https://127.0.0.1:{rig.http_server.port}/v1/traces")


async def test_old_versions_of_tls_are_not_spoken(
    tmp_path: Path, authority: Authority, served: Issued
) -> None:
    keys = both(served)
    keys["http_keys"]["tls"] = {**tls(served), "min_version": "1.3"}
    trusted = Trusted(authority=authority.cert)
    async with running(tmp_path / "journal", trusted=trusted, **keys) as rig:
        assert (await rig.post("traces", REQUEST)).status_code == 200
        context = trusted.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(
            (ssl.SSLError, ConnectionError)
        ):  # an alert or a reset, as the kernel has it
            await asyncio.open_connection("127.0.0.1", rig.http_server.port, ssl=context)


async def test_a_rotation_is_served_and_costs_no_request(
    tmp_path: Path, authority: Authority, served: Issued
) -> None:
    clock, trusted = Ticking(), Trusted(authority=authority.cert)
    first, second = der(served), authority.issue("second")
    async with running(tmp_path / "journal", clock=clock, trusted=trusted, **both(served)) as rig:
        ports = [rig.grpc_server.port, rig.http_server.port]
        assert [await shown(port) for port in ports] == [first, first]
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(stream(rig, trusted, enough)) for _ in range(3)]
            second.copy_to(served.cert, served.key)
            await clock.tick(59)
            assert await shown(ports[0]) == first
            await clock.tick(60)
            for port in ports:
                for host in ("127.0.0.1", "::1"):  # gRPC has a state of its own for each address
                    assert await shown(port, host) == der(second)
            enough.set()
        count = sum(task.result() for task in sent)
        assert count >= 9
        accepted = sum(rig.count("accepted_spans", name) for name in ("grpc", "http"))
        assert accepted == 3 * count


async def stream(rig: Rig, trusted: Trusted, enough: asyncio.Event) -> int:
    """Requests one after another, half of them over connections of their own; how many went well."""
    sent = 0
    while not enough.is_set():
        await rig.export("traces", REQUEST)
        target = f"127.0.0.1:{rig.grpc_server.port}"
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.secure_channel(target, trusted.credentials(), options) as fresh:
            call = fresh.unary_unary(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export", None, None
            )
            await call(REQUEST)
        assert (await rig.post("traces", REQUEST)).status_code == 200
        sent += 3
    return sent


async def test_a_ca_that_is_taken_away_lets_nobody_in_any_more(
    tmp_path: Path, authority: Authority, served: Issued
) -> None:
    others = Authority(tmp_path, "others")
    client_ca = tmp_path / "clients.pem"
    client_ca.write_bytes(authority.cert.read_bytes())
    clock = Ticking()
    old = Trusted(authority=authority.cert, own=authority.issue("client"))
    new = Trusted(authority=authority.cert, own=others.issue("client"))
    async with running(
        tmp_path / "journal", clock=clock, trusted=new, **both(served, client_ca)
    ) as rig:
        client_ca.write_bytes(others.cert.read_bytes())
        await clock.tick(60)
        await rig.export("traces", REQUEST)
        assert (await rig.post("traces", REQUEST)).status_code == 200
        await let_in_nowhere(rig, old)


async def test_a_rotation_that_is_no_good_changes_nothing(
    tmp_path: Path, authority: Authority, served: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    clock, first = Ticking(), der(served)
    trusted = Trusted(authority=authority.cert)
    async with running(tmp_path / "journal", clock=clock, trusted=trusted, **both(served)) as rig:
        served.key.write_bytes(authority.issue("other").key.read_bytes())
        for _ in range(3):  # told once, however often it is looked at
            await clock.tick(60)
        for port, transport in ((rig.grpc_server.port, "grpc"), (rig.http_server.port, "http")):
            assert await shown(port) == first
            assert rig.counters.value("halo.receiver.failed_reloads", transport=transport) == 1
        good = authority.issue("good")
        good.copy_to(served.cert, served.key)
        await clock.tick(60)
        assert await shown(rig.grpc_server.port) == await shown(rig.http_server.port) == der(good)
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(told) == 2
    assert all("tls.key_file" in line and "stays in use" in line for line in told)


def identity(files: Issued, **more: str) -> Identity:
    return Identity(HttpTls.model_validate({**tls(files), **more}), "some.tls")


def test_what_is_wrong_is_told_with_its_key(
    tmp_path: Path, authority: Authority, served: Issued
) -> None:
    nothing, words = tmp_path / "nothing", tmp_path / "words"
    words.write_text("no certificate", encoding="ascii")
    other = authority.issue("other")
    expired = authority.issue("expired", days=-1)
    for files, told in (
        (Issued(nothing, served.key), r"some\.tls\.cert_file: cannot read"),
        (Issued(served.cert, nothing), r"some\.tls\.key_file: cannot read"),
        (Issued(words, served.key), r"some\.tls\.cert_file: .* holds no certificate"),
        (Issued(served.cert, words), r"some\.tls\.key_file: .* is not the private key of"),
        (Issued(served.cert, other.key), r"some\.tls\.key_file: .* is not the private key of"),
        (expired, r"some\.tls\.cert_file: .*certificate has expired.*renew it"),
    ):
        with pytest.raises(ConfigError, match=told):
            identity(files).read()
    with pytest.raises(ConfigError, match=r"some\.tls\.client_ca_file: .* holds no certificate"):
        identity(served, client_ca_file=str(words)).read()


async def test_a_bad_certificate_stops_the_start(tmp_path: Path, served: Issued) -> None:
    served.cert.unlink()
    for name in ("grpc", "http"):
        keys: dict[str, Any] = {f"{name}_keys": {"tls": tls(served)}}
        with pytest.raises(ConfigError, match=rf"protocols\.{name}\.tls\.cert_file: cannot read"):
            async with running(tmp_path / name, **keys):
                pass


def test_a_key_that_all_may_read_is_warned_of(
    served: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    Identity(ServerTls.model_validate(tls(served)), "some.tls").read()
    assert not caplog.records
    served.key.chmod(0o644)
    Identity(ServerTls.model_validate(tls(served)), "some.tls").read()
    [record] = caplog.records
    assert "some.tls.key_file" in record.getMessage()


async def test_when_a_certificate_expires_is_told_and_again_after_a_rotation(
    tmp_path: Path, authority: Authority, served: Issued
) -> None:
    clock = Ticking()
    keys = both(served)
    async with running(tmp_path / "journal", clock=clock, **keys) as rig:
        for days in (1, 30):
            authority.issue(f"for-{days}", days=days).copy_to(served.cert, served.key)
            expires_s = ends_s(served)
            await clock.tick(60)
            for transport in ("grpc", "http"):
                assert rig.count("certificate_expiry_seconds", transport) == expires_s
    assert rig.count("failed_reloads") == 0


def ends_s(issued: Issued) -> int:
    command = ["openssl", "x509", "-noout", "-enddate", "-in", str(issued.cert)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return ssl.cert_time_to_seconds(told.strip().removeprefix("notAfter="))
