"""`replay` against real receivers that refuse, throttle and hang up."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typer.testing import CliRunner

from halo_otel.cli.app import app
from halo_otel.cli.receiver import Target
from halo_otel.cli.replay import shift
from halo_otel.cli.sending import (
    IN_FLIGHT,
    Accepted,
    Delivery,
    Totals,
    over_grpc,
    over_http,
    span_count,
)
from halo_otel.clock import NS_PER_S, ManualClock, SystemClock
from halo_otel.errors import BadFile, BadRequest, Unreachable
from tests.cli.conftest import NASTY, Receiver

Deliver = Callable[..., Totals]


@pytest.fixture
def sent(protobuf_requests: list[bytes]) -> list[ExportTraceServiceRequest]:
    return [ExportTraceServiceRequest.FromString(request) for request in protobuf_requests]


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture(params=["grpc", "http"])
def deliver(
    request: pytest.FixtureRequest, sent: list[ExportTraceServiceRequest], troubles: list[str]
) -> Deliver:
    """Delivers all requests to an endpoint on a clock that only the waits move."""

    def run(endpoint: str, clock: ManualClock, **options: Any) -> Totals:
        async def deliver() -> Totals:
            async with (over_grpc if request.param == "grpc" else over_http)(
                Target(address=endpoint)
            ) as send:
                delivery = Delivery(send, clock, lambda totals: None, troubles.append, **options)
                return await delivery.run(iter(sent))

        return asyncio.run(deliver())

    run.protocol = request.param  # type: ignore[attr-defined]
    return run


@pytest.fixture
def receiver(deliver: Deliver, grpc_receiver: Receiver, http_receiver: Receiver) -> Receiver:
    return grpc_receiver if deliver.protocol == "grpc" else http_receiver  # type: ignore[attr-defined]


def as_bytes(requests: list[ExportTraceServiceRequest]) -> list[bytes]:
    return sorted(request.SerializeToString(deterministic=True) for request in requests)


def test_everything_arrives_as_it_was(
    deliver: Deliver, receiver: Receiver, sent: list[ExportTraceServiceRequest], troubles: list[str]
) -> None:
    clock = ManualClock()
    totals = deliver(receiver.endpoint, clock)
    assert as_bytes(receiver.requests) == as_bytes(sent)
    spans = sum(map(span_count, sent))
    assert totals == Totals(requests=len(sent), accepted_spans=spans)
    assert troubles == []
    assert clock.now_ns() == ManualClock().now_ns()


def test_what_is_throttled_is_sent_again_after_the_time_asked_for(
    deliver: Deliver, receiver: Receiver, sent: list[ExportTraceServiceRequest], troubles: list[str]
) -> None:
    receiver.answers = ["throttle" if deliver.protocol == "grpc" else "503"]  # type: ignore[attr-defined]
    clock = ManualClock()
    totals = deliver(receiver.endpoint, clock)
    assert as_bytes(receiver.requests) == as_bytes(sent)
    assert totals.retries == 1
    assert clock.now_ns() - ManualClock().now_ns() == 7 * NS_PER_S
    assert "trying again" in troubles[0]


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "DATA_LOSS"])
def test_every_retryable_code_is_retried(
    grpc_receiver: Receiver, sent: list[ExportTraceServiceRequest], code: str
) -> None:
    grpc_receiver.answers = [code] * 3

    async def deliver() -> Totals:
        async with over_grpc(Target(address=grpc_receiver.endpoint)) as send:
            delivery = Delivery(send, ManualClock(), lambda totals: None, lambda why: None)
            return await delivery.run(iter(sent))

    totals = asyncio.run(deliver())
    assert totals.retries == 3
    assert len(grpc_receiver.requests) == len(sent)


def test_what_is_refused_is_counted_and_the_rest_goes_on(
    deliver: Deliver, receiver: Receiver, sent: list[ExportTraceServiceRequest], troubles: list[str]
) -> None:
    receiver.answers = ["RESOURCE_EXHAUSTED" if deliver.protocol == "grpc" else "413"]  # type: ignore[attr-defined]
    totals = deliver(receiver.endpoint, ManualClock())
    assert totals.refused_requests == 1
    assert totals.retries == 0
    assert len(receiver.requests) == len(sent) - 1
    assert totals.accepted_spans == len(receiver.spans)
    assert "refused" in troubles[0]


def test_rejected_spans_are_counted(
    grpc_receiver: Receiver, traces_file: Path, sent: list[ExportTraceServiceRequest]
) -> None:
    grpc_receiver.answers = ["partial"]
    result = CliRunner().invoke(
        app, ["replay", str(traces_file), "--endpoint", grpc_receiver.endpoint]
    )
    spans = sum(map(span_count, sent))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{spans - 2:,} spans accepted, 2 rejected")
    assert "[red]boo" in result.stderr
    assert NASTY not in result.stderr
    assert "\x1b" not in result.stderr


def test_nobody_there_ends_after_a_bounded_wait(deliver: Deliver, nobody: str) -> None:
    clock = ManualClock()
    with pytest.raises(Unreachable, match="gave up after"):
        deliver(nobody, clock)
    waited_s = (clock.now_ns() - ManualClock().now_ns()) / NS_PER_S
    assert 120 <= waited_s <= IN_FLIGHT * 140


async def test_the_rate_is_kept(sent: list[ExportTraceServiceRequest]) -> None:
    clock = ManualClock()

    async def send(payload: bytes) -> Accepted:
        return Accepted()

    delivery = Delivery(send, clock, lambda totals: None, lambda why: None, rate=1000)
    await delivery.run(iter(sent))
    spans = sum(map(span_count, sent[:-1]))  # the last request is not waited for
    took_s = (clock.now_ns() - ManualClock().now_ns()) / NS_PER_S
    assert took_s == pytest.approx(spans / 1000, abs=1e-6)


def test_now_moves_every_time_alike(
    grpc_receiver: Receiver, traces_file: Path, sent: list[ExportTraceServiceRequest]
) -> None:
    before_ns = SystemClock().now_ns()
    result = CliRunner().invoke(
        app, ["replay", str(traces_file), "--endpoint", grpc_receiver.endpoint, "--now"]
    )
    after_ns = SystemClock().now_ns()
    assert result.exit_code == 0, result.output
    newest_ns = max(span.end_time_unix_nano for span in grpc_receiver.spans)
    assert before_ns <= newest_ns <= after_ns
    original = Receiver(requests=sent).spans
    ends = {span.span_id: span.end_time_unix_nano for span in original}
    shifts = {span.end_time_unix_nano - ends[span.span_id] for span in grpc_receiver.spans}
    assert len(shifts) == 1


def test_a_shift_leaves_unset_times_and_stops_at_zero() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.start_time_unix_nano, span.end_time_unix_nano = 0, 5
    span.events.add(time_unix_nano=9)
    shift(request, -7)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (0, 0)
    assert span.events[0].time_unix_nano == 2


def test_over_http_from_the_command_line(
    http_receiver: Receiver, traces_file: Path, sent: list[ExportTraceServiceRequest]
) -> None:
    endpoint = f"http://{http_receiver.endpoint}/v1/traces"
    arguments = ["replay", str(traces_file), "--endpoint", endpoint, "--http", "--rate", "1e9"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert as_bytes(http_receiver.requests) == as_bytes(sent)


def test_a_refusal_makes_the_command_fail(http_receiver: Receiver, traces_file: Path) -> None:
    http_receiver.answers = ["400"]
    arguments = ["replay", str(traces_file), "--endpoint", http_receiver.endpoint, "--http"]
    assert CliRunner().invoke(app, arguments).exit_code == 1


def test_bad_files_and_endpoints_are_named(tmp_path: Path, traces_file: Path) -> None:
    arguments = ["replay", str(tmp_path / "none"), "--endpoint", "localhost:1"]
    assert isinstance(CliRunner().invoke(app, arguments).exception, BadFile)
    arguments = ["replay", str(traces_file), "--endpoint", "ftp://localhost:1"]
    assert isinstance(CliRunner().invoke(app, arguments).exception, BadRequest)
