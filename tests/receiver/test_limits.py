"""Slow and many: what connections may cost before, while and after they are served."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.certificates import Authority
from tests.receiver.rig import Rig, Trusted, running, trace_request

REQUEST = trace_request().SerializeToString()
HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
HALF_OPEN = 2000
# Long enough for a loaded machine to send what it means to send, short enough to wait for.
SOON = 0.3

Port = Callable[[Rig], int]
PORTS: dict[str, Port] = {
    "grpc": lambda rig: rig.grpc_server.port,
    "http": lambda rig: rig.http_server.port,
}


def closed(rig: Rig, reason: str) -> float:
    return rig.counters.value("halo.receiver.closed_connections", transport="http", reason=reason)


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """`count` connections that say nothing."""
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        yield [reader for reader, _ in pairs]
    finally:
        for _, writer in pairs:
            writer.transport.abort()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server ends the connection."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", PORTS)
async def test_thousands_of_half_open_connections_keep_nobody_out(
    name: str, secure: bool, tmp_path: Path
) -> None:
    options: dict[str, Any] = {}
    if secure:
        authority = Authority(tmp_path)
        own = authority.issue("server")
        tls = {"tls": {"cert_file": str(own.cert), "key_file": str(own.key)}}
        trusted = Trusted(authority=authority.cert)
        options = {"grpc_keys": tls, "http_keys": tls, "trusted": trusted}
    async with (
        running(tmp_path / "journal", **options) as rig,
        connected(PORTS[name](rig), HALF_OPEN),
    ):
        await rig.export("traces", REQUEST, timeout=30)
        assert (await rig.post("traces", REQUEST)).status_code == 200


async def test_connections_above_the_limit_are_closed_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", http_keys={"max_connections": 2}) as rig:
        port = rig.http_server.port
        async with connected(port, 2), connected(port, 1) as [one_more]:
            assert await until_closed(one_more) == b""
            assert closed(rig, "too_many") == 1
        while not rig.frames():  # until the server has seen that the two are gone
            with contextlib.suppress(httpx.TransportError):
                assert (await rig.post("traces", REQUEST)).status_code == 200


async def test_grpc_takes_no_more_connections_than_it_may(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", grpc_keys={"max_connections": 1}) as rig:
        await rig.export("traces", REQUEST)
        async with connected(rig.grpc_server.port, 1) as [one_more]:
            assert await until_closed(one_more) == b""
        await rig.export("traces", REQUEST)


@pytest.mark.parametrize(
    ("sent", "reason", "key"),
    [
        (b"", "slow_header", "read_header_timeout"),
        (b"POST /v1/tra", "slow_header", "read_header_timeout"),
        (HEAD, "slow_header", "read_header_timeout"),
        (HEAD + b"Content-Length: 9\r\n\r\n", "slow_body", "read_timeout"),
        (HEAD + b"Content-Length: 9\r\n\r\n12345678", "slow_body", "read_timeout"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n", "slow_body", "read_timeout"),
    ],
)
async def test_what_does_not_come_is_not_waited_for(
    sent: bytes, reason: str, key: str, tmp_path: Path
) -> None:
    async with running(tmp_path / "journal", http_keys={key: SOON}) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.http_server.port)
        writer.write(sent)
        assert await until_closed(reader) == b""
        writer.close()
        assert closed(rig, reason) == 1
        assert rig.frames() == []
        assert (await rig.post("traces", REQUEST)).status_code == 200


async def test_a_byte_now_and_then_does_not_keep_a_header_open(tmp_path: Path) -> None:
    """The slow-loris itself: the deadline is of the whole header, not of the next byte."""
    async with running(tmp_path / "journal", http_keys={"read_header_timeout": SOON}) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.http_server.port)
        writer.write(HEAD)
        gone = asyncio.Event()

        async def drip() -> None:
            while not gone.is_set():
                writer.write(b"X-A: b\r\n")
                try:
                    await asyncio.wait_for(gone.wait(), SOON / 10)
                except TimeoutError:
                    continue

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(drip())
            assert await until_closed(reader) == b""
            gone.set()
        writer.close()
        assert closed(rig, "slow_header") == 1


async def test_a_request_that_comes_in_time_is_served_on_a_connection_that_was_idle(
    tmp_path: Path,
) -> None:
    """Deadlines are of a request, not of the connection."""
    keys = {"read_header_timeout": SOON, "read_timeout": SOON}
    async with running(tmp_path / "journal", http_keys=keys) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.http_server.port)
        head = HEAD + f"Content-Length: {len(REQUEST)}\r\n\r\n".encode()
        for _ in range(2):
            writer.write(head + REQUEST)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            with pytest.raises(TimeoutError):  # nothing more comes, also not its end
                await asyncio.wait_for(reader.read(1), 2 * SOON)
        writer.close()
        assert len(rig.frames()) == 2


@pytest.mark.parametrize("name", PORTS)
async def test_a_handshake_that_does_not_come_is_not_waited_for(name: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("server")
    keys = {
        "tls": {"cert_file": str(own.cert), "key_file": str(own.key)},
        "handshake_timeout": SOON,
    }
    trusted = Trusted(authority=authority.cert)
    async with running(
        tmp_path / "journal", grpc_keys=keys, http_keys=keys, trusted=trusted
    ) as rig:
        async with connected(PORTS[name](rig), 1) as [reader]:
            assert await until_closed(reader) == b""
        if name == "http":
            assert closed(rig, "handshake") == 1


async def test_grpc_without_tls_waits_no_longer_for_a_first_word(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "journal", grpc_keys={"handshake_timeout": SOON}) as rig,
        connected(rig.grpc_server.port, 1) as [reader],
    ):
        async with asyncio.timeout(5):  # gRPC's own patience is 2 minutes, our default 10 s
            await until_closed(reader)


async def test_stopping_does_not_wait_for_a_handshake(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("server")
    keys = {"tls": {"cert_file": str(own.cert), "key_file": str(own.key)}, "handshake_timeout": 600}
    async with running(tmp_path / "journal", http_keys=keys) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.http_server.port)
    assert await until_closed(reader) == b""
    writer.close()
