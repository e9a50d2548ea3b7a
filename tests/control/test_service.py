"""The control API over real gRPC: asked directly, and through the front's proxy."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from halo_otel._pb.halo.v1 import control_pb2 as pb
from halo_otel._pb.halo.v1 import control_pb2_grpc
from halo_otel.clock import NS_PER_S, ManualClock, SystemClock
from halo_otel.config.sections import Emit
from halo_otel.control.client import ControlClient
from halo_otel.control.proxy import pass_through
from halo_otel.control.server import ControlServer
from halo_otel.control.servicer import WATCHERS_MAX
from halo_otel.control.sources import Sources
from halo_otel.errors import (
    BadRequest,
    ConfigError,
    HaloError,
    InUse,
    NotFound,
    Overloaded,
    Unreachable,
)
from halo_otel.findings.registry import Registry
from halo_otel.findings.values import Transition
from halo_otel.model.finding import Finding, Severity, Status
from halo_otel.selfobs import Counters

START_NS = 1_700_000_000 * NS_PER_S
TRACE = "0af7651916cd43dd8448eb211c80319c"
Serve = Callable[[Sources], Any]


@asynccontextmanager
async def proxy_to(target: str) -> AsyncIterator[str]:
    """The front's part of the work; gives its endpoint."""
    server, proxy = grpc.aio.server(), pass_through(target)
    server.add_generic_rpc_handlers((proxy,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
        await proxy.close()


@pytest.fixture(params=["direct", "proxied"])
def serve(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Serve:
    """A service over some sources; gives the endpoint to ask."""

    @asynccontextmanager
    async def direct(sources: Sources) -> AsyncIterator[str]:
        async with ControlServer(sources, clock, "127.0.0.1:0") as server:
            yield f"127.0.0.1:{server.port}"

    @asynccontextmanager
    async def proxied(sources: Sources) -> AsyncIterator[str]:
        socket = f"unix:{tmp_path / 'control'}"
        async with ControlServer(sources, clock, socket), proxy_to(socket) as endpoint:
            yield endpoint

    return direct if request.param == "direct" else proxied


async def ask(endpoint: str, question: Callable[[ControlClient], Any]) -> Any:
    """The blocking client, away from the event loop that serves it."""

    def run() -> Any:
        with ControlClient(endpoint) as client:
            return question(client)

    return await asyncio.to_thread(run)


async def test_findings_are_listed_by_priority_and_filter(
    serve: Serve,
    sources: Sources,
    make_finding: Callable[..., Finding],
    record: Callable[..., None],
) -> None:
    low = make_finding("a", priority=1.0, severity=Severity.WARN, category="latency")
    high = make_finding("b", priority=2.0)
    record(low, high)
    async with serve(sources) as endpoint:
        found = await ask(endpoint, lambda c: c.findings())
        assert [f.title for f in found] == [high.title, low.title]
        assert found[0].evidence == high.evidence
        by: list[dict[str, Any]] = [
            {"severity": "warn"},
            {"category": "latency"},
            {"fingerprint_prefix": low.fingerprint[:12]},
            {"severity": "warn", "service": "travel", "statuses": ["new"]},
        ]
        for filters in by:
            found = await ask(endpoint, partial(ControlClient.findings, **filters))
            assert [f.fingerprint for f in found] == [low.fingerprint]
        assert await ask(endpoint, lambda c: c.findings(service="nobody")) == ()
        assert len(await ask(endpoint, lambda c: c.findings(limit=1))) == 1


async def test_mute_hides_and_unmute_shows(
    serve: Serve,
    sources: Sources,
    make_finding: Callable[..., Finding],
    record: Callable[..., None],
) -> None:
    finding = make_finding()
    record(finding)
    async with serve(sources) as endpoint:
        muted = await ask(endpoint, lambda c: c.mute(finding.fingerprint, reason="known"))
        assert muted.status is Status.MUTED
        assert await ask(endpoint, lambda c: c.findings()) == ()
        assert len(await ask(endpoint, lambda c: c.findings(statuses=["muted"]))) == 1
        heard = await ask(endpoint, lambda c: c.unmute(finding.fingerprint))
        assert heard.status is Status.NEW
        assert (await ask(endpoint, lambda c: c.finding(finding.fingerprint))) == heard


async def test_windows_traces_trees_reports_and_status(serve: Serve, sources: Sources) -> None:
    async with serve(sources) as endpoint:
        assert list(await ask(endpoint, lambda c: c.windows())) == list(sources.windows())
        traces = await ask(endpoint, lambda c: c.traces())
        assert traces == await ask(endpoint, lambda c: c.traces(START_NS))
        assert [trace.trace_id for trace in traces] == [TRACE]
        tree = await ask(endpoint, lambda c: c.tree(TRACE.upper()))
        assert list(tree) == list(sources.tree(traces[0].trace_id))
        whole = await ask(endpoint, lambda c: c.tree(session="s 1"))
        assert list(whole) == list(sources.session_tree("s 1"))
        report = await ask(endpoint, lambda c: c.report())
        assert report == sources.report()
        assert report == await ask(endpoint, lambda c: c.analyze())
        assert await ask(endpoint, lambda c: c.status()) == sources.status()


QUESTIONS_THAT_FAIL: list[tuple[Callable[[ControlClient], Any], type[HaloError], str]] = [
    (lambda c: c.finding("fpv1:none"), NotFound, "halo-otel findings"),
    (lambda c: c.mute("fpv1:none"), NotFound, "halo-otel findings"),
    (lambda c: c.unmute("fpv1:none"), NotFound, "halo-otel findings"),
    (lambda c: c.tree("f" * 32), NotFound, "no window holds"),
    (lambda c: c.tree(session="nobody"), NotFound, "no window holds"),
    (lambda c: c.tree("f" * 31), BadRequest, "32 hex digits"),
    (lambda c: c.traces(START_NS + 1), NotFound, "no such window"),
    (lambda c: c.findings(statuses=["old"]), BadRequest, "ongoing"),
    (lambda c: c.findings(severity="bad"), BadRequest, "fatal"),
    (lambda c: c.findings(category="Loop"), BadRequest, "retry_storm"),
]


@pytest.mark.parametrize(("question", "kind", "cure"), QUESTIONS_THAT_FAIL)
async def test_a_bad_question_is_answered_with_its_cure(
    serve: Serve,
    sources: Sources,
    question: Callable[[ControlClient], Any],
    kind: type[HaloError],
    cure: str,
) -> None:
    async with serve(sources) as endpoint:
        with pytest.raises(kind, match=cure):
            await ask(endpoint, question)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Overloaded("a run is under way: try again"), grpc.StatusCode.UNAVAILABLE),
        (NotFound("gone"), grpc.StatusCode.NOT_FOUND),
        (BadRequest("bad"), grpc.StatusCode.INVALID_ARGUMENT),
        (InUse("held"), grpc.StatusCode.FAILED_PRECONDITION),
        (ZeroDivisionError("secret"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_every_error_has_its_status(
    serve: Serve, sources: Sources, error: Exception, code: grpc.StatusCode
) -> None:
    async def analyze() -> Any:
        raise error

    async with (
        serve(replace(sources, analyze=analyze)) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await control_pb2_grpc.ControlStub(channel).Analyze(pb.AnalyzeRequest())
    assert raised.value.code() is code
    assert "secret" not in (raised.value.details() or "")


async def test_nothing_to_report_yet(serve: Serve, sources: Sources) -> None:
    async with serve(replace(sources, report=lambda: None, windows=list)) as endpoint:
        with pytest.raises(NotFound, match="--now"):
            await ask(endpoint, lambda c: c.report())
        with pytest.raises(NotFound, match="nothing has arrived"):
            await ask(endpoint, lambda c: c.traces())


async def test_watch_tells_the_past_and_then_what_happens(
    serve: Serve,
    sources: Sources,
    make_finding: Callable[..., Finding],
    record: Callable[..., None],
    registry: Registry,
    clock: ManualClock,
) -> None:
    finding = make_finding()
    record(finding)
    async with (
        serve(sources) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        call = control_pb2_grpc.ControlStub(channel).Watch(pb.WatchRequest(after_sequence=0))
        first = await call.read()
        assert (first.status_before, first.status_after) == ("", "new")
        assert first.finding.fingerprint == finding.fingerprint
        await asyncio.to_thread(registry.mute, finding.fingerprint, None, "", clock.now_ns())
        second = await call.read()
        assert (second.status_before, second.status_after) == ("new", "muted")
        assert second.sequence > first.sequence
        assert not second.HasField("run_id")
        call.cancel()

        again = control_pb2_grpc.ControlStub(channel).Watch(
            pb.WatchRequest(after_sequence=first.sequence)
        )
        assert await again.read() == second
        again.cancel()


async def test_watch_without_a_number_starts_now(
    serve: Serve,
    sources: Sources,
    make_finding: Callable[..., Finding],
    record: Callable[..., None],
    tmp_path: Path,
) -> None:
    record(make_finding("old"))
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Telling(Registry):
        """Says when it was asked for news and had none."""

        def transitions(self, after_seq: int = 0, limit: int = 1000) -> list[Transition]:
            found = super().transitions(after_seq, limit)
            if not found:
                loop.call_soon_threadsafe(asked.set)
            return found

    replica = Telling(f"sqlite:///{tmp_path / 'registry.sqlite'}", Emit(), Counters())
    replica.open()
    async with serve(replace(sources, registry=replica)) as endpoint:

        def first_title() -> str:
            with ControlClient(endpoint) as client:
                for _, finding in client.watch():
                    return finding.title
            raise AssertionError("the stream ended")

        title = asyncio.create_task(asyncio.to_thread(first_title))  # noqa: TID251  # a test's own
        await asked.wait()
        record(make_finding("new"))
        assert await title == "booking repeats new"
    replica.close()


async def test_watchers_are_bounded_and_leave_room_when_they_go(
    serve: Serve,
    sources: Sources,
    make_finding: Callable[..., Finding],
    record: Callable[..., None],
) -> None:
    record(make_finding())
    everything = pb.WatchRequest(after_sequence=0)
    async with (
        serve(sources) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        watch = control_pb2_grpc.ControlStub(channel).Watch
        calls = [watch(everything) for _ in range(WATCHERS_MAX)]
        for call in calls:
            await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await watch(everything).read()
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        for call in calls:
            call.cancel()
        # A cancelled watcher leaves at its next look; until then the answer stays the same.
        while True:
            call = watch(everything)
            try:
                await call.read()
            except grpc.aio.AioRpcError:
                continue
            call.cancel()
            break


async def test_the_proxy_carries_deadline_cancellation_metadata_and_details(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}
    asked, cancelled = asyncio.Event(), asyncio.Event()

    class Engine:
        async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.Report:
            seen["left"] = context.time_remaining()
            seen["metadata"] = dict(context.invocation_metadata())
            await context.abort(
                grpc.StatusCode.ABORTED, "so it is", (("halo-detail-bin", b"\x00\xff"),)
            )
            raise AssertionError

        async def Analyze(self, request: pb.AnalyzeRequest, context: Any) -> pb.Report:
            seen["unbounded"] = context.time_remaining()
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

        def __getattr__(self, method: str) -> None:
            return None

    engine = grpc.aio.server()
    control_pb2_grpc.add_ControlServicer_to_server(Engine(), engine)
    target = f"unix:{tmp_path / 'engine'}"
    engine.add_insecure_port(target)
    await engine.start()
    async with proxy_to(target) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        stub = control_pb2_grpc.ControlStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetReport(pb.GetReportRequest(), timeout=60, metadata=(("who", "me"),))
        assert raised.value.code() is grpc.StatusCode.ABORTED
        assert raised.value.details() == "so it is"
        trailing: Any = raised.value.trailing_metadata()
        assert dict(trailing)["halo-detail-bin"] == b"\x00\xff"
        assert 0 < seen["left"] < 120  # gRPC rounds deadlines up on the wire
        assert seen["metadata"]["who"] == "me"

        call = stub.Analyze(pb.AnalyzeRequest())
        await asked.wait()
        assert seen["unbounded"] is None or seen["unbounded"] > 1e6
        call.cancel()
        await cancelled.wait()
    await engine.stop(None)


async def test_without_an_engine_the_proxy_says_try_again(
    tmp_path: Path, sources: Sources, clock: ManualClock
) -> None:
    target = f"unix:{tmp_path / 'engine'}"
    async with proxy_to(target) as endpoint:
        with pytest.raises(Unreachable, match="try again in a moment"):
            await ask(endpoint, lambda c: c.status())
        async with ControlServer(sources, clock, target):
            while True:  # the connection is tried again after at most a second
                try:
                    assert (await ask(endpoint, lambda c: c.status())).ready
                except Unreachable:
                    await SystemClock().sleep(0.05)
                    continue
                break
        with pytest.raises(Unreachable):
            await ask(endpoint, lambda c: c.status())


async def test_other_methods_are_not_ours() -> None:
    async with proxy_to("unix:nowhere") as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        for path in ("/halo.v1.Control/Format", "/grpc.health.v1.Health/Check"):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary(path, None, None)(b"")
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{free.getsockname()[1]}"


async def test_the_client_names_the_cure(nobody: str) -> None:
    with pytest.raises(Unreachable, match=r"is `halo-otel serve` running at 127\.0\.0\.1"):
        await ask(nobody, lambda c: c.findings())
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with pytest.raises(ConfigError, match="--endpoint"):
        await ask(f"127.0.0.1:{port}", lambda c: c.findings())
    await server.stop(None)


async def test_a_server_stops_twice_and_unstarted(sources: Sources, clock: ManualClock) -> None:
    server = ControlServer(sources, clock, "127.0.0.1:0")
    await server.__aexit__(None, None, None)
    async with server:
        assert server.port
    await server.__aexit__(None, None, None)


async def test_an_address_in_use_is_named(sources: Sources, clock: ManualClock) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.invalid"):
        async with ControlServer(sources, clock, "nowhere.invalid:1"):
            pass
