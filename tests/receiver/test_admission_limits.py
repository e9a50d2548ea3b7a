"""How much, how many and how deep: at the limits of admission, over both transports."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from halo_otel.errors import Overloaded
from halo_otel.otlp.anyvalue import TOO_DEEP
from halo_otel.otlp.decode import decode_traces
from halo_otel.receiver.extent import PARTS_PER_ITEM, exceeds
from tests.receiver.rig import Rig, log_request, running, trace_request

REQUEST = trace_request().SerializeToString()
GIB = 1 << 30


def refused(rig: Rig, name: str, reason: str, transport: str) -> float:
    return rig.counters.value(f"halo.receiver.{name}_requests", transport=transport, reason=reason)


def nested(levels: int, shape: str) -> bytes:
    """A serialised value of so many lists or maps in each other, which no parser would make."""
    value = AnyValue(string_value="inside").SerializeToString()
    for _ in range(levels):
        if shape == "map":
            value = field(6, field(1, field(1, b"k") + field(2, value)))
        else:
            value = field(5, field(1, value))
    return value


def field(number: int, content: bytes) -> bytes:
    size, length = bytearray(), len(content)
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + content


def with_deep(levels: int, shape: str) -> bytes:
    """A request of three spans; the second has a deep attribute between two others."""
    message = trace_request(3)
    spans = message.resource_spans[0].scope_spans[0].spans
    for span in spans:
        span.attributes.add(key="before").value.int_value = 1
    parts = [span.SerializeToString() for span in spans]
    deep = field(1, b"deep") + field(2, nested(levels, shape))
    after = field(1, b"after") + field(2, field(1, b"it"))
    parts[1] += field(9, deep) + field(9, after)
    return field(1, field(2, b"".join(field(2, part) for part in parts)))


def json_deep(levels: int, shape: str) -> bytes:
    """The same in JSON, written by hand: its writers go no deeper than 1,000 levels either."""
    opening, closing = {
        "list": ('{"arrayValue":{"values":[', "]}}"),
        "map": ('{"kvlistValue":{"values":[{"key":"k","value":', "}]}}"),
    }[shape]
    value = opening * levels + '{"stringValue":"inside"}' + closing * levels
    spans = [
        {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "name": f"s{number}",
            "attributes": [{"key": "before", "value": {"intValue": 1}}],
        }
        for number in (1, 2, 3)
    ]
    spans[1]["attributes"] += [  # type: ignore[operator]  # a list
        {"key": "deep", "value": "DEEP"},
        {"key": "after", "value": {"stringValue": "it"}},
    ]
    request = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    return json.dumps(request).replace('"DEEP"', value).encode()


def depth_of(value: Any) -> tuple[int, object]:
    depth = 0
    while isinstance(value, (list, dict)):
        (value,) = value if isinstance(value, list) else value.values()
        depth += 1
    return depth, value


@pytest.mark.parametrize("shape", ["list", "map"])
@pytest.mark.parametrize("levels", [20, 31, 32, 46, 47, 48, 100, 400, 1000, 3000])
@pytest.mark.parametrize("transport", ["grpc", "http", "json"])
async def test_a_value_that_is_too_deep_costs_nothing_else(
    shape: str, levels: int, transport: str, tmp_path: Path
) -> None:
    async with running(tmp_path / "journal") as rig:
        if transport == "grpc":
            assert await rig.export("traces", with_deep(levels, shape)) == b""
        elif transport == "http":
            assert (await rig.post("traces", with_deep(levels, shape))).status_code == 200
        else:
            answer = await rig.post("traces", json_deep(levels, shape), "application/json")
            assert answer.status_code == 200, answer.text
        (frame,) = rig.frames()
        spans = list(decode_traces(frame.payload))
        cut = rig.count("too_deep_values", "grpc" if transport == "grpc" else "http")
    assert len(spans) == 3
    attributes = spans[1].attributes
    assert (attributes["before"], attributes["after"]) == (1, "it")
    assert [span.attributes["before"] for span in spans] == [1, 1, 1]
    depth, inside = depth_of(attributes["deep"])
    assert (depth, inside) == (levels, "inside") if cut == 0 else inside == TOO_DEEP
    assert cut == (0 if levels <= 20 else cut)
    assert cut == (1 if levels >= 48 else cut)


@pytest.mark.parametrize("number", [1, 60, 90])
async def test_garbage_stays_garbage(number: int, tmp_path: Path) -> None:
    """A deep request that is cut off somewhere is no request."""
    async with running(tmp_path / "journal") as rig:
        error = await rig.refusal("traces", with_deep(400, "list")[:-number])
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("signal", ["traces", "logs"])
async def test_too_many_items_are_refused_for_good_before_they_are_parsed(
    signal: str, tmp_path: Path
) -> None:
    async with running(tmp_path / "journal", otlp={"max_items_per_request": 20_000}) as rig:
        empty = field(1, field(2, b"\x12\x00" * (1 << 20)))
        error = await rig.refusal(signal, empty)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "more than 20000 items" in str(error.details())
        answer = await rig.post(signal, gzip.compress(empty), content_encoding="gzip")
        assert answer.status_code == 413
        assert "receivers.otlp.max_items_per_request" in Status.FromString(answer.content).message
        for transport in ("grpc", "http"):
            assert refused(rig, "failed", "too_large", transport) == 1
        make: Any = trace_request if signal == "traces" else log_request
        fits = make(20_000)
        fits.MergeFrom(make(0, service="x" * (1 << 20)))
        assert await rig.export(signal, fits.SerializeToString()) == b""


@pytest.mark.parametrize("number", [9, 11, 13])
def test_so_are_too_many_parts(number: int) -> None:
    most = 1000 * PARTS_PER_ITEM
    span = trace_request(1).resource_spans[0].scope_spans[0].spans[0].SerializeToString()

    def request(parts: int) -> bytes:
        item = span + bytes([number << 3 | 2, 0]) * parts + field(5, b"n" * 40_000)
        return field(1, field(2, field(2, item)))

    assert exceeds("traces", request(most), 1000) is None
    assert "attributes, events and links" in str(exceeds("traces", request(most + 1), 1000))


async def test_requests_open_at_once_have_a_limit(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", otlp={"max_concurrent_requests": 2}) as rig:
        with rig.intake.hold(), rig.intake.hold():
            error = await rig.refusal("traces", REQUEST)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            answer = await rig.post("traces", REQUEST)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            for transport in ("grpc", "http"):
                assert refused(rig, "refused", "concurrent_requests", transport) == 1
        await rig.export("traces", REQUEST)
        assert len(rig.frames()) == 1


async def test_without_memory_a_request_is_refused_before_it_is_read(tmp_path: Path) -> None:
    used = [900 << 20]
    async with running(tmp_path / "journal", used_bytes=lambda: used[0]) as rig:
        error = await rig.refusal("traces", REQUEST)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "900 MiB of 1024 MiB of memory are in use" in str(error.details())
        assert (await rig.post("traces", REQUEST)).status_code == 503
        for transport in ("grpc", "http"):
            assert refused(rig, "refused", "memory", transport) == 1
        assert rig.frames() == []


@pytest.mark.parametrize("critical", [True, False])
async def test_what_is_still_coming_is_let_go_when_memory_is_at_its_end(
    critical: bool, tmp_path: Path
) -> None:
    used = [0]
    async with running(tmp_path / "journal", used_bytes=lambda: used[0]) as rig:
        stays = asyncio.Event()

        async def come() -> None:
            async with rig.intake.receiving(None):
                await stays.wait()

        coming = asyncio.ensure_future(come())
        await asyncio.sleep(0)
        used[0] = GIB if critical else GIB * 9 // 10
        with pytest.raises(Overloaded):
            rig.intake.hold()
        if not critical:
            stays.set()
            await coming
            return
        with pytest.raises(Overloaded, match="memory"):
            await coming


async def test_a_grpc_request_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path / "journal", grpc_keys={"read_timeout": 0.3}) as rig:
        path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        never: Any = rig.channel.stream_unary(path, None, None)
        call = never()
        with pytest.raises(grpc.aio.AioRpcError, match="too slowly") as refusal:
            await call
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        assert refused(rig, "refused", "slow", "grpc") == 1
        await rig.export("traces", REQUEST)
