"""Recipes that choose, in the real Collector: what of agents, of others and of findings reaches whom."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from halo_otel.otlp.names import SERVICE_NAME
from tests.agentspan.conftest import CAPTURED, _facts
from tests.collector_config.conftest import Running
from tests.collector_config.test_files import FOLDER, finding
from tests.emitter.conftest import Collector
from tests.receiver.rig import log_request, trace_request

# Sent before the Collector ends, not kept on disk for its next start.
NO_QUEUE = "yaml:exporters::otlp_grpc/halo::sending_queue::enabled: false"
ERROR = 2
# Random, as trace ids are: samplers and routers hash them.
ID_OF = {number: sha256(str(number).encode()).digest()[:16] for number in range(1, 201)}
NUMBER_OF = {trace_id: number for number, trace_id in ID_OF.items()}
Traces = ExportTraceServiceRequest


@pytest.fixture
async def halo() -> AsyncIterator[Collector]:
    """What halo-otel is to the Collector: a door that takes everything, findings too."""
    async for door in _door():
        yield door


@pytest.fixture
async def other() -> AsyncIterator[Collector]:
    """A backend, or a second halo-otel."""
    async for door in _door():
        yield door


async def _door() -> AsyncIterator[Collector]:
    door = Collector()
    await door.start()
    yield door
    await door.stop()


def traces(
    numbers: Iterable[int],
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    scope: str = "",
    status: int = 0,
    namespace: str = "shop",
) -> Traces:
    """A request with one span in each trace of `numbers`."""
    request = trace_request(0, scope=scope)
    group = request.resource_spans[0]
    group.resource.attributes.add(key="service.namespace").value.string_value = namespace
    for number in numbers:
        span = group.scope_spans[0].spans.add(
            name=name, trace_id=ID_OF[number], span_id=name.encode().ljust(8)[:8]
        )
        span.status.code = status
        for key, value in (attributes or {}).items():
            span.attributes.add(key=key).value.string_value = json.dumps(value)
    return request


def together(requests: Iterable[Traces]) -> Traces:
    merged = Traces()
    for request in requests:
        merged.MergeFrom(request)
    return merged


def got(door: Collector) -> list[tuple[int, str]]:
    """The spans that came to `door`, as trace and name."""
    return sorted((NUMBER_OF[span.trace_id], span.name) for span in door.spans())


def of(numbers: Iterable[int], *names: str) -> list[tuple[int, str]]:
    return sorted((number, name) for number in numbers for name in names)


async def flow(
    collector: Running,
    recipe: str,
    overrides: Sequence[str],
    sent: Sequence[Traces | ExportLogsServiceRequest],
    done: Callable[[], bool],
) -> None:
    """Send to the agents' door, wait until `done`, stop: what is still held back is decided then."""

    def run() -> None:
        with collector.started(FOLDER / f"{recipe}.yaml", *overrides) as process:
            with grpc.insecure_channel(f"127.0.0.1:{collector.ports['GRPC']}") as channel:
                for request in sent:
                    stub = TraceServiceStub if isinstance(request, Traces) else LogsServiceStub
                    stub(channel).Export(request, timeout=10, wait_for_ready=True)
            collector.wait(process, done)
            assert collector.stop(process) == 0, collector.text()

    await asyncio.to_thread(run)


@pytest.mark.collector
async def test_agents_traces_reach_halo_otel_whole_and_others_not_at_all(
    collector: Running, halo: Collector
) -> None:
    """One span tells, whatever wrote it; what came before it and what comes after it goes, too."""
    spans = [
        span
        for file in sorted(CAPTURED.glob("*.json"))
        for span in json.loads(file.read_bytes())["spans"]
    ]
    claude = {"span.type": "claude_code.tool"}
    spans.append({"name": "", "scope": "com.anthropic.claude_code", "attributes": claude})
    web = {"http.route": "/gen_ai.", "email.to": "x", "url.llm": "y"}
    spans.append({"name": "", "scope": "asgi", "attributes": web})
    agents = [
        number
        for number, span in enumerate(spans, 1)
        if _facts(span["attributes"], name=span["name"], scope=span["scope"]).kind != "other"
    ]
    assert agents == list(range(1, len(spans)))
    sent = [
        traces(range(1, 200), "before"),
        together(
            traces([number], "teller", span["attributes"], scope=span["scope"])
            for number, span in enumerate(spans, 1)
        ),
        traces(range(1, 200), "after"),
    ]
    whole = of(agents, "before", "teller", "after")
    collector.halo_port = halo.port
    await flow(collector, "genai-only", [NO_QUEUE], sent, lambda: len(got(halo)) >= len(whole))
    assert got(halo) == whole


@pytest.mark.collector
async def test_or_agents_are_known_by_their_namespace(collector: Running, halo: Collector) -> None:
    """Nothing is waited for; what others do in agents' traces is missing, as the file says."""
    overrides = [
        NO_QUEUE,
        "yaml:service::pipelines::traces/halo::processors: [filter/agents, batch/halo]",
    ]
    sent = [
        traces([1, 2], "request"),
        traces([1], "work", namespace="agents"),
        traces([1], "chat", {"gen_ai.operation.name": "chat"}, namespace="agents"),
    ]
    collector.halo_port = halo.port
    await flow(collector, "genai-only", overrides, sent, lambda: len(got(halo)) >= 2)
    assert got(halo) == of([1], "work", "chat")


@pytest.mark.collector
@pytest.mark.parametrize("place", ["before", "after"])
async def test_halo_otel_before_and_after_tail_sampling(
    place: str, collector: Running, halo: Collector, other: Collector
) -> None:
    """Before it sees all, after it what the backend gets: all that failed and some of the rest."""
    overrides = [
        NO_QUEUE,
        f"yaml:exporters::otlp_grpc/backend: {{endpoint: {other.endpoint}, tls: {{insecure: true}},"
        " sending_queue: {enabled: false}}",
        "yaml:service::pipelines::traces/sampled::exporters: [otlp_grpc/backend]",
    ]
    if place == "after":  # the two lines that the file names
        overrides += [
            "yaml:service::pipelines::traces::exporters: [forward/sampling]",
            "yaml:service::pipelines::traces/sampled::exporters: [otlp_grpc/backend, forward/halo]",
        ]
    failed, rest = range(1, 6), range(6, 201)
    sent = [
        traces(range(1, 201), "chat"),
        traces(failed, "tool", status=ERROR),
        traces(rest, "tool"),
    ]
    collector.halo_port = halo.port
    awaited = 0 if place == "after" else 400  # the sample is drawn when the Collector stops
    await flow(collector, "tail-sampling", overrides, sent, lambda: len(got(halo)) >= awaited)
    sampled = sorted({number for number, _ in got(other)})
    assert set(failed) < set(sampled)
    assert 0 < len(set(sampled) & set(rest)) < len(rest) / 2
    assert got(other) == of(sampled, "chat", "tool")
    assert got(halo) == (got(other) if place == "after" else of(range(1, 201), "chat", "tool"))


def record(
    name: str,
    *,
    trace: int = 0,
    scope: str = "",
    event: str = "",
    service: str = "booking",
    attributes: Mapping[str, str] | None = None,
) -> ExportLogsServiceRequest:
    """A request of one log record with the body `name`."""
    request = log_request(0, service, scope)
    told = request.resource_logs[0].scope_logs[0].log_records.add(event_name=event)
    told.body.string_value = name
    if trace:
        told.trace_id = ID_OF[trace]
    for key, value in (attributes or {}).items():
        told.attributes.add(key=key).value.string_value = value
    return request


@pytest.mark.collector
async def test_agents_log_records_reach_halo_otel_and_findings_never(
    collector: Running, halo: Collector
) -> None:
    sent = [
        record("of no trace"),
        record("of no trace", event="device.app.lifecycle"),
        record(
            "a finding at the agents' door", trace=1, service=SERVICE_NAME, event="halo.finding"
        ),
        record("inside a span", trace=1),
        record("an event", event="gen_ai.client.inference.operation.details"),
        record("an older event", attributes={"event.name": "gen_ai.user.message"}),
        record("Claude Code's", scope="com.anthropic.claude_code.events"),
    ]
    wanted = {"inside a span", "an event", "an older event", "Claude Code's"}

    def bodies() -> set[str]:
        return {told.body.string_value for told in halo.records()}

    def done() -> bool:
        """Only now a finding at the door of findings: what it would set off comes before the end."""
        with grpc.insecure_channel(f"127.0.0.1:{collector.ports['FINDINGS']}") as channel:
            LogsServiceStub(channel).Export(finding(), timeout=10, wait_for_ready=True)
        return len(bodies()) >= len(wanted)

    collector.halo_port = halo.port
    await flow(collector, "agents-logs", [NO_QUEUE], sent, done)
    assert bodies() == wanted


@pytest.mark.collector
async def test_each_trace_goes_whole_to_one_replica_with_its_log_records(
    collector: Running, halo: Collector, other: Collector
) -> None:
    hosts = f"[{halo.endpoint}, {other.endpoint}]"
    backend = collector.directory / "backend.jsonl"
    overrides = [
        f"yaml:exporters::file/backend: {{path: {backend}}}",
        "yaml:service::pipelines::traces::exporters: [file/backend, forward/halo]",
        f"yaml:exporters::load_balancing/halo::resolver::static::hostnames: {hosts}",
        "yaml:exporters::load_balancing/halo::protocol::otlp::sending_queue::enabled: false",
    ]
    numbers = range(1, 101)
    sent: list[Traces | ExportLogsServiceRequest] = [
        traces(numbers, name) for name in ("chat", "tool", "root")
    ]
    sent += [record("inside a span", trace=number) for number in numbers]
    doors = (halo, other)

    def done() -> bool:
        return sum(len(door.spans()) + len(door.records()) for door in doors) >= 400

    await flow(collector, "replicas", overrides, sent, done)
    told = backend.read_text(encoding="utf-8")
    assert told.count('"spanId"') == 300
    assert "halo.route" not in told
    first, second = ({number for number, _ in got(door)} for door in doors)
    assert first | second == set(numbers)
    assert not first & second
    assert min(len(first), len(second)) > 20
    for door, mine in zip(doors, (first, second), strict=True):
        assert got(door) == of(mine, "chat", "tool", "root")
        assert {NUMBER_OF[one.trace_id] for one in door.records()} == mine
