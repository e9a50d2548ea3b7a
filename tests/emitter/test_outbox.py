"""At least once, whatever the Collector does."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from halo_otel.clock import ManualClock
from halo_otel.config.sections import Emit
from halo_otel.emitter import Emitter
from halo_otel.emitter.outbox import BATCH_RECORDS_MAX, POLL_S
from halo_otel.errors import ConfigError
from halo_otel.findings import Registry
from halo_otel.model.finding import Finding
from halo_otel.selfobs import Counters

Code = grpc.StatusCode
FAILED, SENT, DROPPED = (
    "halo.emitter.failed_attempts",
    "halo.emitter.sent_records",
    "halo.emitter.dropped_records",
)


def always(code: Any, retry_after_s: float | None = None) -> Callable[[Any], Any]:
    return lambda _request: (code, retry_after_s)


async def test_an_hour_without_a_collector_delays_and_loses_nothing(
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await collector.stop()
    async with make_emitter(max_backoff=30) as emitter:
        for tick in range(3600):
            if tick % 300 == 0:
                record(finding(f"d{tick}", tick))
            await emitter.tick(clock.now_ns())
            clock.advance(POLL_S)
        # No busy loop: after the first minute an attempt of each kind every 15 to 30 seconds.
        attempts = counters.value(FAILED, kind="log")
        assert 3600 / 30 <= attempts <= 3600 / 15 + 5
        assert counters.value("halo.emitter.outbox") == registry.outbox_size() == 12 * 5
        assert len(caplog.records) == 2  # one for logs, one for spans
        await collector.start()
        clock.advance(30)
        await emitter.tick(clock.now_ns())
    assert len(collector.records()) == 12 * 4
    assert len(collector.spans()) == 12
    assert registry.outbox_size() == counters.value("halo.emitter.outbox") == 0
    assert counters.value(SENT, kind="log") == 12 * 4
    assert counters.value(DROPPED) == 0


async def test_a_crash_between_sending_and_marking_sends_twice_never_not_at_all(
    collector: Any,
    clock: ManualClock,
    open_registry: Callable[..., Registry],
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    first = open_registry()
    record(finding(), registry=first)
    collector.hang = asyncio.Event()
    async with make_emitter(first) as emitter:
        sending = asyncio.ensure_future(emitter.tick(clock.now_ns()))
        await collector.called.wait()
        sending.cancel()  # the request is under way and nothing is marked
        with pytest.raises(asyncio.CancelledError):
            await sending
    first.close()
    collector.hang = None
    second = open_registry()
    async with make_emitter(second) as emitter:
        await emitter.tick(clock.now_ns())
        assert collector.records() == []  # still leased to the dead one
        clock.advance(60)
        await emitter.tick(clock.now_ns())
    assert len(collector.records()) == 4
    assert second.outbox_size() == 0


@pytest.mark.parametrize(
    "code",
    [
        Code.CANCELLED,
        Code.DEADLINE_EXCEEDED,
        Code.RESOURCE_EXHAUSTED,
        Code.ABORTED,
        Code.OUT_OF_RANGE,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
        Code.UNAUTHENTICATED,
        Code.PERMISSION_DENIED,
    ],
)
async def test_retryable_codes_keep_the_records(
    code: Any,
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(finding())
    collector.refuse = {"logs": always(code)}
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
        assert len(collector.spans()) == 1  # the other kind does not wait
        assert registry.outbox_size() == 4
        collector.refuse = {}
        clock.advance(1)
        await emitter.tick(clock.now_ns())
    assert len(collector.records()) == 4
    assert counters.value(FAILED, kind="log") == 1
    assert registry.outbox_size() == 0


@pytest.mark.parametrize(
    "code", [Code.INVALID_ARGUMENT, Code.INTERNAL, Code.UNKNOWN, Code.FAILED_PRECONDITION]
)
async def test_a_record_refused_for_good_costs_only_itself(
    code: Any,
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
    caplog: pytest.LogCaptureFixture,
) -> None:
    findings = [finding(f"d{number}", 10 * number) for number in range(20)]
    record(*findings)
    poison = {findings[3].evidence[1].span_id, findings[17].evidence[0].span_id}

    def refuse(request: Any) -> Any:
        ids = {
            record.span_id.hex()
            for resource in request.resource_logs
            for record in resource.scope_logs[0].log_records
        }
        return (code, None) if ids & poison else None

    collector.refuse = {"logs": refuse}
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
    told = [record.span_id.hex() for record in collector.records()]
    assert len(told) == 20 * 4 - 2
    assert not poison & set(told)
    assert counters.value(DROPPED, reason="refused", kind="log") == 2
    assert registry.outbox_size() == 0
    errors = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "\n" not in errors[0].getMessage()
    assert "pipeline" not in errors[0].getMessage()


async def test_a_collector_without_a_pipeline_for_spans(
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await collector.stop()
    collector.signals = {"logs"}
    await collector.start()
    async with make_emitter() as emitter:
        for number in range(3):
            record(finding(f"d{number}"))
            await emitter.tick(clock.now_ns())
    assert len(collector.records()) == 12
    assert counters.value(DROPPED, reason="refused", kind="span") == 3
    assert registry.outbox_size() == 0
    assert "has a pipeline for them" in caplog.text


async def test_another_reason_within_an_outage_is_told_once(
    collector: Any,
    clock: ManualClock,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
    caplog: pytest.LogCaptureFixture,
) -> None:
    record(finding(), judged=0)
    async with make_emitter() as emitter:
        for code in (Code.UNAVAILABLE, Code.UNAVAILABLE, Code.UNAUTHENTICATED) * 3:
            collector.refuse = {"logs": always(code)}
            await emitter.tick(clock.now_ns())
            clock.advance(30)
        told = [entry.getMessage() for entry in caplog.records]
        assert [("UNAUTHENTICATED" in text, "UNAVAILABLE" in text) for text in told] == [
            (False, True),
            (True, False),
        ]
        collector.refuse = {}
        await emitter.tick(clock.now_ns())
        record(finding("other"), judged=0)
        collector.refuse = {"logs": always(Code.UNAVAILABLE)}
        await emitter.tick(clock.now_ns())
    assert "UNAVAILABLE" in caplog.records[-1].getMessage()


async def test_what_partial_success_rejects_is_counted(
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(finding())
    collector.rejected = 3
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
    assert counters.value(SENT, kind="log") == 1
    assert counters.value(DROPPED, reason="refused", kind="log") == 3
    assert registry.outbox_size() == 0


async def test_the_servers_retry_info_is_obeyed(
    collector: Any,
    clock: ManualClock,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(finding(), judged=0)
    collector.refuse = {"logs": always(Code.RESOURCE_EXHAUSTED, 300)}
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
        collector.refuse = {}
        clock.advance(299)
        await emitter.tick(clock.now_ns())
        assert collector.records() == []
        clock.advance(1)
        await emitter.tick(clock.now_ns())
    assert len(collector.records()) == 4


async def test_a_receiver_of_small_messages_gets_small_batches(
    collector: Any,
    clock: ManualClock,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(*[finding(f"d{number}", 10 * number) for number in range(50)])
    collector.refuse = {
        "logs": lambda request: (
            (Code.RESOURCE_EXHAUSTED, None) if len(request.resource_logs) > 10 else None
        )
    }
    async with make_emitter() as emitter:
        for _ in range(200):
            await emitter.tick(clock.now_ns())
            clock.advance(30)
    assert len(collector.records()) == 50 * 4
    assert registry.outbox_size() == 0


async def test_a_large_backlog_goes_in_bounded_batches(
    collector: Any,
    clock: ManualClock,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(*[finding(f"d{number}", 10 * number) for number in range(200)])
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
    assert len(collector.records()) == 800
    sizes = [len(request.resource_logs) for request in collector.requests["logs"]]
    assert max(sizes) <= BATCH_RECORDS_MAX
    assert max(request.ByteSize() for request in collector.requests["logs"]) < 4 << 20
    ids = [record.span_id for record in collector.records() if record.span_id]
    assert len(ids) == len(set(ids)) == 600
    assert registry.outbox_size() == 0


async def test_two_emitters_on_one_registry_send_each_record_once(
    collector: Any,
    clock: ManualClock,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(*[finding(f"d{number}", 10 * number) for number in range(150)])
    async with make_emitter() as one, make_emitter() as two:
        await asyncio.gather(one.tick(clock.now_ns()), two.tick(clock.now_ns()))
    assert len(collector.records()) == 600


async def test_a_silent_collector_costs_the_timeout_and_stopping_does_not_wait_for_it(
    collector: Any,
    clock: ManualClock,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(finding())
    collector.hang = asyncio.Event()
    async with make_emitter(timeout=0.05) as emitter:
        await emitter.tick(clock.now_ns())
    assert registry.outbox_size() == 5
    collector.called.clear()
    async with make_emitter(timeout=3600) as emitter:
        clock.advance(3600)
        running = asyncio.ensure_future(emitter.run())
        await collector.called.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert registry.outbox_size() == 5
    collector.hang.set()


async def test_run_sends_what_comes_in(
    collector: Any,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    async with make_emitter() as emitter:
        running = asyncio.ensure_future(emitter.run())
        record(finding())
        await collector.received.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert collector.records()


async def test_run_waits_for_a_registry_that_does_not_answer(
    collector: Any,
    counters: Counters,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    record(finding())
    path = tmp_path / "registry.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    registry.close()
    away = path.rename(tmp_path / "away.sqlite")
    path.mkdir()
    registry._store._engine = registry._store._connected()
    async with make_emitter() as emitter:
        running = asyncio.ensure_future(emitter.run())
        while counters.value(FAILED, kind="registry") < 3:  # noqa: ASYNC110 (run() is the subject)
            await asyncio.sleep(0)
        path.rmdir()
        away.rename(path)
        await collector.received.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert len([r for r in caplog.records if "nothing is sent for now" in r.getMessage()]) == 1


async def test_stopping_is_safe_unstarted_and_twice(make_emitter: Callable[..., Emitter]) -> None:
    emitter = make_emitter()
    await emitter.__aexit__(None, None, None)
    async with emitter:
        pass
    await emitter.__aexit__(None, None, None)


async def test_an_unreadable_ca_file_stops_the_start(make_emitter: Callable[..., Emitter]) -> None:
    tls = {"insecure": False, "ca_file": "/nowhere/ca.pem"}
    with pytest.raises(ConfigError, match=r"exporters\.otlp\.tls\.ca_file"):
        await make_emitter(tls=tls).__aenter__()


async def test_a_payload_nobody_can_read_does_not_block_the_others(
    collector: Any,
    clock: ManualClock,
    counters: Counters,
    registry: Registry,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
    tmp_path: Path,
) -> None:
    record(finding(), judged=0)
    with closing(sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)) as file:
        file.execute("UPDATE outbox SET payload = '{\"resource\":3}' WHERE record_id = 2")
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
    assert len(collector.records()) == 3
    assert counters.value(DROPPED, reason="refused", kind="log") == 1


def test_the_default_outbox_holds_an_hour() -> None:
    """12 runs of 5 minutes with every finding and occurrence the defaults allow."""
    assert Emit().max_outbox > 12 * 100 * (1 + Emit().max_occurrences) + 12
