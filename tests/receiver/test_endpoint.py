"""From `host:port` to sockets."""

import asyncio
import socket

import pytest

from halo_otel.errors import ConfigError
from halo_otel.receiver.endpoint import listen, parse_endpoint


@pytest.mark.parametrize(
    ("endpoint", "parsed"),
    [
        ("localhost:14317", ("localhost", 14317)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:4317", ("::1", 4317)),
        ("[::]:65535", ("::", 65535)),
        ("pod-1.halo.svc:80", ("pod-1.halo.svc", 80)),
    ],
)
def test_endpoints_are_host_and_port(endpoint: str, parsed: tuple[str, int]) -> None:
    assert parse_endpoint(endpoint, "key") == parsed


@pytest.mark.parametrize(
    "endpoint",
    ["", "localhost", ":4317", "::1:4317", "[::1]", "a:b", "a:-1", "a:65536", "a:٣", "[]:1"],
)
def test_anything_else_names_the_key_and_how_to_write_it(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"^web\.endpoint: .* write it like localhost:14317"):
        parse_endpoint(endpoint, "web.endpoint")


def test_localhost_listens_on_one_port_for_both_families() -> None:
    sockets = listen("localhost:0", "key")
    ports = {opened.getsockname()[1] for opened in sockets}
    families = {opened.family for opened in sockets}
    for opened in sockets:
        opened.close()
    assert len(ports) == 1
    assert families == {socket.AF_INET, socket.AF_INET6}


@pytest.mark.parametrize("taken", ["127.0.0.1", "::1"])
def test_a_port_taken_on_one_of_them_is_an_error_not_half_a_server(taken: str) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with socket.socket(family) as other:
        other.bind((taken, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=r"key: .*the port is in use"):
            listen(f"localhost:{port}", "key")
    # What had been opened before the error is closed again.
    for opened in listen(f"localhost:{port}", "key"):
        opened.close()


def test_foreign_addresses_and_unknown_hosts_are_told() -> None:
    with pytest.raises(ConfigError, match=r"key: .*not an address of this machine"):
        listen("192.0.2.1:0", "key")
    with pytest.raises(ConfigError, match=r"key: the host 'no such host' is unknown"):
        listen("no such host:0", "key")


async def test_what_is_accepted_answers_at_once() -> None:
    accepted: asyncio.Queue[int] = asyncio.Queue()

    def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = writer.get_extra_info("socket")
        accepted.put_nowait(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    (listening,) = listen("127.0.0.1:0", "key")
    async with await asyncio.start_server(note, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert await accepted.get() != 0
        writer.close()
        await writer.wait_closed()
