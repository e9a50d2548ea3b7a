"""OTLP/HTTP, answer by answer."""

import asyncio
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from halo_otel.errors import ConfigError
from halo_otel.journal import FrameKind
from tests.receiver.rig import PROTOBUF, SERVICES, Rig, log_request, running, trace_request

JSON = "application/json"
MIB = 1 << 20


def status_of(response: httpx.Response) -> Status:
    """The google.rpc.Status every error must carry."""
    if response.headers["content-type"] == PROTOBUF:
        return Status.FromString(response.content)
    assert response.headers["content-type"] == JSON
    parts = response.json()
    return Status(code=parts["code"], message=parts["message"])


def json_spans(**span: Any) -> dict[str, Any]:
    return {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "b"}}]
                },
                "scopeSpans": [
                    {"spans": [{"traceId": "0A" * 16, "spanId": "0b" * 8, "name": "n", **span}]}
                ],
            }
        ]
    }


@pytest.mark.parametrize(
    ("signal", "kind", "payload"),
    [
        ("traces", FrameKind.TRACES, trace_request().SerializeToString()),
        ("logs", FrameKind.LOGS, log_request().SerializeToString()),
    ],
)
@pytest.mark.parametrize("content_type", [PROTOBUF, PROTOBUF + "; charset=utf-8", PROTOBUF.upper()])
async def test_protobuf_is_journaled_as_it_came(
    rig: Rig, signal: str, kind: FrameKind, payload: bytes, content_type: str
) -> None:
    response = await rig.post(signal, payload, content_type)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == PROTOBUF
    assert "server" not in response.headers
    assert [(frame.kind, frame.payload) for frame in rig.frames()] == [(kind, payload)]


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8"])
async def test_json_is_journaled_as_protobuf_with_its_hex_ids(rig: Rig, content_type: str) -> None:
    body = json_spans(unknownField=1, startTimeUnixNano="1700000000000000001", kind=3)
    response = await rig.post("traces", json.dumps(body).encode(), content_type)
    assert (response.status_code, response.json()) == (200, {})
    assert response.headers["content-type"] == JSON
    [frame] = rig.frames()
    span = ExportTraceServiceRequest.FromString(frame.payload).resource_spans[0].scope_spans[0]
    assert span.spans[0].trace_id == b"\x0a" * 16
    assert span.spans[0].span_id == b"\x0b" * 8
    assert span.spans[0].start_time_unix_nano == 1700000000000000001
    assert rig.count("accepted_spans", "http") == 1


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("signal", SERVICES)
async def test_empty_requests_are_a_success(rig: Rig, signal: str, content_type: str) -> None:
    response = await rig.post(signal, b"{}" if content_type == JSON else b"", content_type)
    assert response.status_code == 200
    assert rig.frames() == []


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip", lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:])),
    ],
)
async def test_compressed_bodies_are_read(rig: Rig, encoding: str, encode: Any) -> None:
    payload = trace_request(3000).SerializeToString()
    response = await rig.post("traces", encode(payload), content_encoding=encoding)
    assert response.status_code == 200
    assert rig.frames()[0].payload == payload


async def test_partial_success_comes_in_the_requests_content_type(rig: Rig) -> None:
    request = trace_request(2)
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b"short"
    response = await rig.post("traces", request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert (response.status_code, partial.rejected_spans) == (200, 1)
    body = json.dumps(json_spans(spanId="00" * 8)).encode()
    response = await rig.post("traces", body, JSON)
    assert response.status_code == 200
    assert response.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert rig.count("rejected_spans", "http") == 2


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (PROTOBUF, b"garbage"),
        (PROTOBUF, trace_request().SerializeToString()[:-3]),
        (JSON, b"garbage"),
        (JSON, b""),
        (JSON, b"[]"),
        (JSON, b'{"resourceSpans": 1}'),
        (JSON, b'{"resourceSpans":' * 1000),
        (JSON, b"\xff\xfe"),
        (JSON, json.dumps(json_spans(traceId="xyz")).encode()),
    ],
)
async def test_undecodable_bodies_are_400_with_a_status(
    rig: Rig, content_type: str, body: bytes
) -> None:
    response = await rig.post("traces", body, content_type)
    assert response.status_code == 400
    assert response.headers["content-type"] == content_type
    assert status_of(response).code == Code.INVALID_ARGUMENT
    assert rig.frames() == []
    assert rig.count("failed_requests", "http") == 1


@pytest.mark.parametrize("body", [b"", b"not gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9]])
async def test_broken_compression_is_400(rig: Rig, body: bytes) -> None:
    response = await rig.post("traces", body, content_encoding="gzip")
    assert response.status_code == 400
    assert status_of(response).code == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/protobuf"]
)
async def test_other_content_types_are_415(rig: Rig, content_type: str) -> None:
    response = await rig.post("traces", b"", content_type)
    assert response.status_code == 415
    assert "application/x-protobuf" in status_of(response).message


@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip, gzip", "snappy"])
async def test_other_encodings_are_415_and_told_what_would_do(rig: Rig, encoding: str) -> None:
    response = await rig.post("traces", b"", content_encoding=encoding)
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "gzip, deflate, identity"
    assert "Content-Encoding" in status_of(response).message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_405(rig: Rig, method: str) -> None:
    response = await rig.client.request(method, "/v1/traces", headers={"content-type": PROTOBUF})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert status_of(response).code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("path", ["/", "/v1/traces/", "/v1/spans", "/v1/../v1/tracesx"])
async def test_other_paths_are_404(rig: Rig, path: str) -> None:
    response = await rig.client.post(path, content=b"", headers={"content-type": JSON})
    assert response.status_code == 404
    assert status_of(response).code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_of_65_mib_is_413(rig: Rig, announced: bool) -> None:
    async def chunks() -> Any:
        for _ in range(65):
            yield bytes(MIB)

    response = await rig.client.post(
        "/v1/traces",
        content=bytes(65 * MIB) if announced else chunks(),
        headers={"content-type": PROTOBUF},
    )
    assert response.status_code == 413
    assert status_of(response).code == Code.RESOURCE_EXHAUSTED
    # The connection is usable and nothing is held.
    assert (await rig.post("traces", trace_request().SerializeToString())).status_code == 200


async def test_the_limit_holds_after_decompression(tmp_path: Path) -> None:
    http = {"endpoint": "localhost:0", "max_request_body_size": 10_000}
    otlp = {"protocols": {"grpc": {"endpoint": "localhost:0"}, "http": http}}
    async with running(tmp_path / "journal", otlp=otlp) as rig:
        for size, status_code in ((10_000, 400), (10_001, 413), (50 * MIB, 413)):
            body = gzip.compress(b"\xff" * size)
            response = await rig.post("traces", body, content_encoding="gzip")
            assert response.status_code == status_code


async def test_overload_is_503_with_retry_after(tmp_path: Path) -> None:
    otlp = {
        "protocols": {"grpc": {"endpoint": "localhost:0"}, "http": {"endpoint": "localhost:0"}},
        "max_in_flight_bytes": MIB,
        "retry_delay": "1500ms",
    }
    payload = trace_request(9).SerializeToString()
    async with running(tmp_path / "journal", otlp=otlp) as rig:
        with rig.intake.hold() as other:
            other.grow(MIB)
            for content_type, body in ((PROTOBUF, payload), (JSON, json.dumps(json_spans()))):
                response = await rig.post("traces", body, content_type)  # type: ignore[arg-type]
                assert response.status_code == 503
                assert response.headers["retry-after"] == "2"
                assert status_of(response).code == Code.UNAVAILABLE
        assert rig.count("refused_requests", "http") == 2
        assert (await rig.post("traces", payload)).status_code == 200


async def test_a_full_journal_and_draining_are_503(tmp_path: Path) -> None:
    payload = trace_request(50).SerializeToString()
    async with running(tmp_path / "journal", journal_max_bytes=8192) as rig:
        while (response := await rig.post("traces", payload)).status_code == 200:
            pass
        assert response.status_code == 503
        assert "retry-after" in response.headers
        rig.journal.checkpoint(rig.journal.durable_offset)
        assert (await rig.post("traces", payload)).status_code == 200
        rig.intake.drain()
        response = await rig.post("traces", payload)
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")


async def test_no_mistake_of_ours_is_a_permanent_answer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def explode(*args: Any) -> int:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(rig.journal, "append", explode)
    response = await rig.post("traces", trace_request().SerializeToString())
    assert response.status_code == 503
    assert "retry-after" in response.headers
    assert "secret" not in status_of(response).message
    assert rig.count("internal_errors", "http") == 1


async def test_a_sender_that_goes_away_in_the_middle_leaves_nothing_held(rig: Rig) -> None:
    _, sender = await asyncio.open_connection("127.0.0.1", rig.http_server.port)
    sender.write(
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Length: 1000\r\n\r\nhalf"
    )
    await sender.drain()
    sender.close()
    await sender.wait_closed()
    assert (await rig.post("traces", trace_request().SerializeToString())).status_code == 200
    with rig.intake.hold() as held:
        held.grow(1 << 40)  # would be refused if any other byte were held


async def test_localhost_is_served_on_ipv4_and_ipv6(rig: Rig) -> None:
    for host in ("127.0.0.1", "[::1]"):
        url = f"http://{host}:{rig.http_server.port}/v1/traces"
        response = await rig.client.post(url, content=b"", headers={"content-type": PROTOBUF})
        assert response.status_code == 200


async def test_a_taken_port_stops_the_start_with_the_key_and_the_cure(
    rig: Rig, tmp_path: Path
) -> None:
    http = {"endpoint": f"127.0.0.1:{rig.http_server.port}"}
    otlp = {"protocols": {"grpc": {"endpoint": "localhost:0"}, "http": http}}
    with pytest.raises(
        ConfigError, match=r"receivers\.otlp\.protocols\.http\.endpoint: .*choose another port"
    ):
        async with running(tmp_path / "other", otlp=otlp):
            pass
