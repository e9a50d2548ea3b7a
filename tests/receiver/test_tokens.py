"""Bearer tokens: who is let in, what the others are told, and that nobody reads them in a log."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import Parse
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.errors import ConfigError
from halo_otel.receiver.tokens import Tokens
from halo_otel.receiver.web import WebServer
from halo_otel.selfobs import Counters
from tests.receiver.rig import Rig, Ticking, running, trace_request

REQUEST = trace_request().SerializeToString()
KEY = "some.auth.tokens_file"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("first-token\n\n  second-token  \n", encoding="ascii")
    return path


def keys(file: Path) -> dict[str, Any]:
    auth = {"auth": {"tokens_file": str(file)}}
    return {"grpc_keys": auth, "http_keys": auth}


def unauthenticated(rig: Rig, transport: str, reason: str) -> float:
    return rig.counters.value(
        "halo.receiver.unauthenticated_requests", transport=transport, reason=reason
    )


@pytest.mark.parametrize(
    "header", ["Bearer first-token", "bearer second-token", "BEARER  first-token"]
)
async def test_each_token_of_the_file_lets_in(file: Path, tmp_path: Path, header: str) -> None:
    async with running(tmp_path / "journal", **keys(file)) as rig:
        await rig.export("traces", REQUEST, metadata=(("authorization", header),))
        answer = await rig.post("traces", REQUEST, authorization=header)
        assert answer.status_code == 200
        assert len(rig.frames()) == 2


async def test_refusals_are_counted_from_zero(file: Path, tmp_path: Path) -> None:
    """Of a counter that begins at 1 Prometheus' `increase` says 0, and no alert would come."""
    async with running(tmp_path / "journal", **keys(file)) as rig:
        told = {
            (
                dict(reading.attributes)["transport"],
                dict(reading.attributes)["reason"],
            ): reading.value
            for reading in rig.counters.snapshot()
            if reading.name == "halo.receiver.unauthenticated_requests"
        }
    assert told == {(door, why): 0 for door in ("grpc", "http") for why in ("missing", "unknown")}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("first-token", "missing"),
        ("Basic first-token", "missing"),
        ("Bearer", "unknown"),
        ("Bearer first-toke", "unknown"),
        ("Bearer first-tokens", "unknown"),
        ("Bearer first-token second-token", "unknown"),
    ],
)
async def test_anything_else_does_not(
    file: Path, tmp_path: Path, header: str | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path / "journal", **keys(file)) as rig:
        metadata = () if header is None else (("authorization", header),)
        refusal = await rig.refusal("traces", REQUEST, metadata=metadata)
        assert refusal.code() is grpc.StatusCode.UNAUTHENTICATED
        headers = {} if header is None else {"authorization": header}
        answer = await rig.post("traces", REQUEST, **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert Status.FromString(answer.content).code == Code.UNAUTHENTICATED
        answer = await rig.post("traces", b"{}", "application/json", **headers)
        assert Parse(answer.text, Status()).code == Code.UNAUTHENTICATED
        assert rig.frames() == []
        assert unauthenticated(rig, "grpc", reason) == rig.count("failed_requests") == 1
        assert unauthenticated(rig, "http", reason) == rig.count("failed_requests", "http") == 2
    told = [r.getMessage() for r in caplog.records if r.name.startswith("halo_otel.")]
    assert len(told) == 2  # once for each transport, however many come
    assert not any("first-token" in line for line in told)
    assert "first-token" not in (refusal.details() or "")


async def test_what_is_refused_is_logged_again_only_after_a_while(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Ticking()
    async with running(tmp_path / "journal", clock=clock, **keys(file)) as rig:
        for seconds, lines in ((0, 1), (59, 1), (1, 2)):
            clock.advance(seconds)
            await rig.refusal("traces", REQUEST)
            assert len(caplog.records) == lines
    assert all(record.levelno == logging.WARNING for record in caplog.records)


async def test_health_needs_no_token_and_reflection_does(file: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "journal", **keys(file)) as rig:
        check = rig.channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        assert await check(b"") == b"\x08\x01"  # SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(rig.channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ServerReflectionInfo(iter([asked])).read()
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        token = (("authorization", "Bearer first-token"),)
        answer = await stub.ServerReflectionInfo(iter([asked]), metadata=token).read()
        assert answer.list_services_response.service


async def test_tokens_are_rotated_without_a_restart(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Ticking()
    async with running(tmp_path / "journal", clock=clock, **keys(file)) as rig:

        async def let_in(token: str) -> bool:
            answer = await rig.post("traces", REQUEST, authorization=f"Bearer {token}")
            return answer.status_code == 200

        await asyncio.to_thread(file.write_bytes, b"second-token\nthird-token")
        await clock.tick(59)
        assert await let_in("first-token")
        await clock.tick(60)
        assert [await let_in(f"{name}-token") for name in ("first", "second", "third")] == [
            False,
            True,
            True,
        ]
        caplog.clear()
        await asyncio.to_thread(file.write_bytes, b"\n")
        await clock.tick(60)
        assert await let_in("third-token")
        assert rig.counters.value("halo.receiver.failed_reloads", transport="http") == 1
    assert "holds no token" in caplog.text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read"),
        (b"", "holds no token"),
        (b" \n\n", "holds no token"),
        (b"two words\n", "a line that is no token"),
        ("schlüssel\n".encode(), "a line that is no token"),
        (b"good\nb\x00d\n", "a line that is no token"),
    ],
)
def test_a_file_that_is_no_good_is_told_but_never_quoted(
    content: bytes | None, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "secrets"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"some\.auth\.tokens_file: .*{told}") as error:
        Tokens(file, KEY).read()
    assert "words" not in str(error.value)


async def test_metrics_ask_for_a_token_and_probes_do_not(file: Path) -> None:
    counters = Counters()
    web = sections.Web.model_validate(
        {"endpoint": "localhost:0", "auth": {"tokens_file": str(file)}}
    )
    server = WebServer(
        web,
        not_ready=lambda: None,
        readings=counters.snapshot,
        counters=counters,
        clock=ManualClock(),
    )
    async with server, httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{server.port}"
        for path in ("healthz", "readyz"):
            assert (await client.get(f"{url}/{path}")).status_code == 200
        answer = await client.get(f"{url}/metrics")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        token = {"authorization": "Bearer second-token"}
        answer = await client.get(f"{url}/metrics", headers=token)
        assert answer.status_code == 200
        assert 'unauthenticated_requests_total{reason="missing",transport="web"} 1' in answer.text
