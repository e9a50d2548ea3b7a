"""OTLP/gRPC, answer by answer, by a client that sends raw bytes."""

import asyncio
import gzip
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from halo_otel.errors import ConfigError
from halo_otel.journal import FrameKind
from tests.receiver.rig import SERVICES, Rig, log_request, running, trace_request

MIB = 1 << 20


def retry_delay_s(error: grpc.aio.AioRpcError) -> float | None:
    """What RetryInfo says, None without one."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in () if status is None else status.details:
        info = RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None


async def test_a_full_success_leaves_partial_success_unset_and_is_journaled(rig: Rig) -> None:
    spans, logs = trace_request().SerializeToString(), log_request().SerializeToString()
    assert await rig.export("traces", spans) == b""
    assert await rig.export("logs", logs) == b""
    assert [(frame.kind, frame.payload) for frame in rig.frames()] == [
        (FrameKind.TRACES, spans),
        (FrameKind.LOGS, logs),
    ]
    assert rig.count("accepted_spans") == 3
    assert rig.count("accepted_log_records") == 3


@pytest.mark.parametrize("signal", SERVICES)
async def test_an_empty_request_is_a_success(rig: Rig, signal: str) -> None:
    assert await rig.export(signal, b"") == b""
    assert rig.frames() == []


async def test_metrics_are_accepted_ignored_and_counted(rig: Rig) -> None:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    assert await rig.export("metrics", request.SerializeToString()) == b""
    assert rig.count("ignored_metric_requests") == 1
    assert rig.frames() == []


async def test_invalid_spans_are_rejected_one_by_one(rig: Rig) -> None:
    request = trace_request(5)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[1].trace_id = b"\1" * 12
    spans[3].span_id = bytes(8)
    answer = await rig.export("traces", request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 2
    assert partial.error_message.startswith("2 spans rejected: trace_id must be 16 bytes")
    assert len(partial.error_message) < 200
    [frame] = rig.frames()
    kept = ExportTraceServiceRequest.FromString(frame.payload).resource_spans[0].scope_spans[0]
    assert [span.name for span in kept.spans] == ["s1", "s3", "s5"]
    assert (rig.count("accepted_spans"), rig.count("rejected_spans")) == (3, 2)


async def test_invalid_log_records_are_rejected_one_by_one(rig: Rig) -> None:
    request = log_request(2)
    request.resource_logs[0].scope_logs[0].log_records[0].trace_id = b"x"
    answer = await rig.export("logs", request.SerializeToString())
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    assert partial.rejected_log_records == 1
    assert "trace_id must be empty or 16 bytes" in partial.error_message
    assert rig.count("rejected_log_records") == 1


async def test_our_own_telemetry_is_dropped_without_a_complaint(rig: Rig) -> None:
    request = trace_request(4, service="halo-otel").SerializeToString()
    assert await rig.export("traces", request) == b""
    assert rig.frames() == []
    assert rig.count("looped_items") == 4


@pytest.mark.parametrize("signal", SERVICES)
@pytest.mark.parametrize("cut", [1, 7, 40])
async def test_truncated_protobuf_is_invalid_argument(rig: Rig, signal: str, cut: int) -> None:
    error = await rig.refusal(signal, trace_request().SerializeToString()[:-cut])
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert retry_delay_s(error) is None
    assert rig.frames() == []
    assert rig.count("failed_requests") == 1


@pytest.mark.parametrize(("posted", "to"), [("logs", "traces"), ("traces", "logs")])
async def test_the_wrong_signal_is_never_journaled_as_valid(rig: Rig, posted: str, to: str) -> None:
    """It is garbage, or items without valid ids, whichever protobuf makes of it."""
    request = trace_request() if posted == "traces" else log_request()
    try:
        answer = await rig.export(to, request.SerializeToString())
        rejected = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
        code = grpc.StatusCode.OK
    except grpc.aio.AioRpcError as error:
        rejected, code = 0, error.code()
    assert (code, rejected) in [
        (grpc.StatusCode.OK, 3),
        (grpc.StatusCode.INVALID_ARGUMENT, 0),
    ]
    assert rig.frames() == []


async def test_unknown_fields_and_all_value_types_are_kept_byte_for_byte(rig: Rig) -> None:
    request = trace_request(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    values = span.attributes.add(key="all").value.kvlist_value.values
    values.add(key="empty")
    values.add(key="string").value.string_value = "ü\0"
    values.add(key="bool").value.bool_value = False
    values.add(key="int").value.int_value = -(1 << 63)
    values.add(key="double").value.double_value = float("nan")
    values.add(key="bytes").value.bytes_value = b"\xff\x00"
    nested = values.add(key="array").value.array_value.values
    nested.add().array_value.values.add().kvlist_value.values.add(key="")
    nested.add().kvlist_value.values.add(key="same").value.int_value = 0
    payload = request.SerializeToString() + b"\xfa\x3e\x06future"
    assert await rig.export("traces", payload) == b""
    [frame] = rig.frames()
    assert frame.payload == payload


@pytest.mark.parametrize(
    "compression", [grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression]
)
async def test_compressed_requests_are_read(rig: Rig, compression: grpc.Compression) -> None:
    payload = trace_request(50).SerializeToString()
    assert await rig.export("traces", payload, compression=compression) == b""
    assert rig.frames()[0].payload == payload


async def test_a_request_of_just_the_limit_is_taken_and_one_above_is_refused_for_good(
    rig: Rig,
) -> None:
    request = trace_request(1)
    filler = request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="filler").value
    filler.string_value = "x" * (63 * MIB)
    assert await rig.export("traces", request.SerializeToString()) == b""
    filler.string_value = "x" * (65 * MIB)
    error = await rig.refusal("traces", request.SerializeToString())
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_delay_s(error) is None
    assert len(rig.frames()) == 1


BOMB_SERVER = """
import asyncio, resource, sys
from pathlib import Path
from tests.receiver.rig import running

async def main():
    limits = {
        "protocols": {
            "grpc": {"endpoint": "localhost:0", "max_recv_msg_size_mib": 4},
            "http": {"endpoint": "localhost:0", "max_request_body_size": 4 << 20},
        }
    }
    async with running(Path(sys.argv[1]), otlp=limits) as rig:
        print(rig.grpc_server.port, rig.http_server.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        # Not ru_maxrss: a child starts with its parent's.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        print(status.split("VmHWM:")[1].split()[0], flush=True)

asyncio.run(main())
"""


async def test_a_gzip_bomb_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """256 MiB of zeros in 256 KiB: the server is a process of its own so that its memory can be read."""
    root = Path(__file__).parents[2]
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", BOMB_SERVER, str(tmp_path / "journal")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert server.stdin is not None
    assert server.stdout is not None
    grpc_port, http_port = map(int, (await server.stdout.readline()).split())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        call = channel.unary_unary(f"/{SERVICES['traces']}/Export", None, None)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(bytes(256 * MIB), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    bomb = gzip.compress(bytes(64 * MIB)) * 4
    reader, sender = await asyncio.open_connection("127.0.0.1", http_port)
    sender.write(
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    sender.close()
    await sender.wait_closed()
    server.stdin.write(b"\n")
    peak_kib = int(await server.stdout.readline())
    server.stdin.close()
    assert await server.wait() == 0
    # The process itself takes about 80 MiB.
    assert peak_kib < 160 * 1024


async def test_an_unknown_method_is_unimplemented(rig: Rig) -> None:
    call = rig.channel.unary_unary(f"/{SERVICES['traces']}/Import", None, None)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_overload_is_unavailable_with_retry_info_and_passes(tmp_path: Path) -> None:
    async with running(
        tmp_path / "journal", otlp={"max_in_flight_bytes": MIB, "retry_delay": "1500ms"}
    ) as rig:
        payload = trace_request(9).SerializeToString()
        with rig.intake.hold() as other:
            other.grow(MIB)
            error = await rig.refusal("traces", payload)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert retry_delay_s(error) == 1.5
            assert "max_in_flight_bytes" in str(error.details())
        assert await rig.export("traces", payload) == b""
        assert rig.count("refused_requests") == 1
        # Alone, a request above the bound is admitted: it could never be otherwise.
        request = trace_request(1)
        span = request.resource_spans[0].scope_spans[0].spans[0]
        span.attributes.add(key="big").value.string_value = "x" * 2 * MIB
        assert await rig.export("traces", request.SerializeToString()) == b""


async def test_a_full_journal_is_unavailable_until_it_is_checkpointed(tmp_path: Path) -> None:
    payload = trace_request(50).SerializeToString()
    async with running(tmp_path / "journal", journal_max_bytes=8192) as rig:
        taken = 0
        while True:
            try:
                await rig.export("traces", payload)
            except grpc.aio.AioRpcError as caught:
                error = caught
                break
            taken += 1
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert retry_delay_s(error) == 2
        assert len(rig.frames()) == taken > 0
        assert rig.count("refused_spans") == 50
        assert rig.count("accepted_spans") == 50 * taken
        assert rig.count("request_duration_seconds.count") == taken
        rig.journal.checkpoint(rig.journal.durable_offset)
        assert await rig.export("traces", payload) == b""


async def test_what_never_fits_into_the_journal_is_refused_for_good(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", journal_max_bytes=8192) as rig:
        error = await rig.refusal("traces", trace_request(500).SerializeToString())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert retry_delay_s(error) is None


async def test_a_broken_journal_is_unavailable(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    for _ in range(2):
        error = await rig.refusal("traces", trace_request().SerializeToString())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert retry_delay_s(error) == 2


async def test_no_mistake_of_ours_surfaces_as_unknown(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def explode(*args: Any) -> int:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(rig.journal, "append", explode)
    error = await rig.refusal("traces", trace_request().SerializeToString())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert retry_delay_s(error) == 2
    assert "secret" not in str(error.details())
    assert rig.count("internal_errors") == 1
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info is not None for record in records] == [True]


async def test_draining_refuses_new_requests_and_finishes_those_in_flight(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = health_pb2_grpc.HealthStub(rig.channel)
    append = rig.journal.append
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(kind: FrameKind, payload: bytes) -> int:
        arrived.set()
        await go_on.wait()
        return await append(kind, payload)

    monkeypatch.setattr(rig.journal, "append", slow)
    in_flight = asyncio.ensure_future(rig.export("traces", trace_request().SerializeToString()))
    await arrived.wait()
    rig.intake.drain()
    await rig.grpc_server.drain()
    error = await rig.refusal("traces", trace_request().SerializeToString())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert retry_delay_s(error) == 2
    for name in ("", *SERVICES.values()):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    go_on.set()
    assert await in_flight == b""
    assert len(rig.frames()) == 1


async def test_health_and_reflection_know_all_services_of_the_port(tmp_path: Path) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request

    method = grpc.unary_unary_rpc_method_handler(echo)
    handler = grpc.method_handlers_generic_handler("grpc.health.v1.Other", {"Echo": method})
    async with running(
        tmp_path / "journal", handlers=[handler], services=["grpc.health.v1.Other"]
    ) as rig:
        call = rig.channel.unary_unary("/grpc.health.v1.Other/Echo", None, None)
        assert await call(b"hello") == b"hello"
        health_stub = health_pb2_grpc.HealthStub(rig.channel)
        for name in ("", "grpc.health.v1.Other", *SERVICES.values()):
            answer = await health_stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection_stub = reflection_pb2_grpc.ServerReflectionStub(rig.channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICES["traces"]),
        ]
        listed, described = [a async for a in reflection_stub.ServerReflectionInfo(iter(asked))]
        names = {service.name for service in listed.list_services_response.service}
        assert names == {
            *SERVICES.values(),
            "grpc.health.v1.Other",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        assert described.file_descriptor_response.file_descriptor_proto


async def test_localhost_is_served_on_ipv4_and_ipv6(rig: Rig) -> None:
    for host in ("127.0.0.1", "[::1]"):
        async with grpc.aio.insecure_channel(f"{host}:{rig.grpc_server.port}") as channel:
            call = channel.unary_unary(f"/{SERVICES['traces']}/Export", None, None)
            assert await call(b"") == b""


async def test_a_taken_port_stops_the_start_with_the_key_and_the_cure(
    rig: Rig, tmp_path: Path
) -> None:
    endpoint = f"localhost:{rig.grpc_server.port}"
    otlp = {"protocols": {"grpc": {"endpoint": endpoint}, "http": {"endpoint": "localhost:0"}}}
    with pytest.raises(
        ConfigError, match=r"receivers\.otlp\.protocols\.grpc\.endpoint: .*choose another port"
    ):
        async with running(tmp_path / "other", otlp=otlp):
            pass


HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7


def http2_frame(kind: int, payload: bytes = b"") -> bytes:
    """A frame of the connection, without flags (RFC 9113 §4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


@pytest.mark.parametrize(("min_time", "cut_off"), [("0.1ms", False), ("5m", True)])
async def test_clients_may_ping_as_often_as_configured(
    tmp_path: Path, min_time: str, cut_off: bool
) -> None:
    """A Collector with `keepalive` set pings without calls; five minutes is gRPC's own default."""
    grpc_keys = {"endpoint": "localhost:0", "keepalive": {"min_time": min_time}}
    otlp = {"protocols": {"grpc": grpc_keys, "http": {"endpoint": "localhost:0"}}}
    async with running(tmp_path / "journal", otlp=otlp) as rig:
        reader, sender = await asyncio.open_connection("127.0.0.1", rig.grpc_server.port)
        sender.write(HTTP2_PREFACE + http2_frame(SETTINGS))
        seen: list[int] = []
        for _ in range(10):
            sender.write(http2_frame(PING, bytes(8)))
            while not seen or seen[-1] not in (PING, GOAWAY):
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3], "big"))
                seen.append(head[3])
            if seen.pop() == GOAWAY:
                seen.append(GOAWAY)
                break
        sender.close()
        await sender.wait_closed()
        assert (GOAWAY in seen) is cut_off
