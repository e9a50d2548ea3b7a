"""Every field that reaches the Collector, against design §4.3."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from halo_otel import __version__
from halo_otel.clock import NS_PER_S, ManualClock
from halo_otel.emitter import Emitter
from halo_otel.findings import Registry
from halo_otel.model.finding import Finding
from halo_otel.model.span import AnyValue


def values(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    case = value.WhichOneof("value")
    if case == "array_value":
        return [_value(item) for item in value.array_value.values]
    return None if case is None else getattr(value, case)


async def test_every_field_of_what_is_emitted(
    collector: Any,
    clock: ManualClock,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    shown = finding()
    record(shown)
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
    assert collector.order == ["logs", "traces"]
    (request,) = collector.requests["logs"]
    agent = {"service.name": "booking", "raw": b"\x00\xff", "list": ["a", 1]}
    for resource_logs in request.resource_logs:
        assert values(resource_logs.resource.attributes) == agent
        (scope_logs,) = resource_logs.scope_logs
        assert (scope_logs.scope.name, scope_logs.scope.version) == ("halo_otel", __version__)
    pattern, *occurrences = collector.records()
    identity = {
        "halo.finding.id": shown.fingerprint,
        "halo.finding.fingerprint": shown.fingerprint,
        "halo.finding.category": "loop",
        "halo.finding.detector": "loop",
        "halo.finding.title": "search_flights repeats",
        "halo.finding.status": "new",
        "halo.finding.severity": "error",
        "halo.finding.confidence": 0.93,
        "halo.finding.tier": "deterministic",
        "gen_ai.agent.name": "planner",
        "gen_ai.tool.name": "search_flights",
        "gen_ai.request.model": "small-1",
        "error.type": "Timeout",
        "halo.finding.subject.operation": "search",
    }
    assert pattern.time_unix_nano == pattern.observed_time_unix_nano == clock.now_ns()
    assert (pattern.trace_id, pattern.span_id, pattern.flags) == (b"", b"", 0)
    assert (pattern.severity_number, pattern.severity_text) == (17, "ERROR")
    assert pattern.event_name == "halo.finding"
    assert pattern.body.string_value == (
        "[new] search_flights repeats"
        " (5 of 36 traces, 41,000 tokens wasted, 12 s wasted, $0.25 wasted)"
    )
    attributes = values(pattern.attributes)
    assert json.loads(attributes.pop("halo.finding.evidence")) == [
        {"trace_id": span.trace_id, "span_id": span.span_id, "role": "cause"}
        for span in shown.evidence
    ]
    assert attributes == identity | {
        "event.name": "halo.finding",
        "halo.finding.summary": "The agent repeats search_flights.",
        "halo.finding.priority": 2.5,
        "halo.finding.traces_affected": 5,
        "halo.finding.traces_exposed": 36,
        "halo.finding.tokens_wasted": 41_000,
        "halo.finding.cost_wasted": 0.25,
        "halo.finding.seconds_wasted": 12.5,
        "halo.finding.recommendation": "Cache the result of search_flights.",
        "halo.finding.first_seen": "2023-11-14T22:13:20.000Z",
        "halo.finding.last_seen": "2023-11-14T22:18:20.000Z",
        "halo.finding.windows_seen": 1,
        "halo.finding.window.start": "2023-11-14T22:13:20.000Z",
        "halo.finding.window.end": "2023-11-14T22:18:20.000Z",
    }
    assert len(occurrences) == len(shown.evidence)
    for told, span in zip(occurrences, shown.evidence, strict=True):
        assert (told.trace_id.hex(), told.span_id.hex()) == (span.trace_id, span.span_id)
        assert told.time_unix_nano == span.time_ns
        assert told.observed_time_unix_nano == clock.now_ns()
        assert (told.severity_number, told.severity_text) == (17, "ERROR")
        assert told.event_name == "halo.finding.occurrence"
        assert told.body.string_value == f"search_flights repeats: {span.note}"
        assert values(told.attributes) == identity | {
            "event.name": "halo.finding.occurrence",
            "halo.finding.evidence.role": "cause",
            "halo.finding.evidence.note": span.note,
        }
    _check_span(collector, shown, identity, clock)


def _check_span(
    collector: Any, shown: Finding, identity: dict[str, Any], clock: ManualClock
) -> None:
    (resource_spans,) = collector.requests["traces"][0].resource_spans
    assert values(resource_spans.resource.attributes) == {
        "service.name": "halo-otel",
        "service.version": __version__,
        "service.instance.id": "local",
    }
    (scope_spans,) = resource_spans.scope_spans
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("halo_otel", __version__)
    (span,) = collector.spans()
    assert (span.name, span.kind, span.parent_span_id) == ("halo.analysis", 1, b"")
    assert (len(span.trace_id), len(span.span_id)) == (16, 8)
    assert span.trace_id.hex() not in shown.traces
    assert span.end_time_unix_nano == clock.now_ns()
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1.5 * NS_PER_S
    assert span.status.code == 0
    assert values(span.attributes) == {
        "halo.analysis.trigger": "window",
        "halo.analysis.window.start": "2023-11-14T22:13:20.000Z",
        "halo.analysis.window.end": "2023-11-14T22:18:20.000Z",
        "halo.analysis.traces": 40,
        "halo.analysis.traces_judged": 36,
        "halo.analysis.spans": 320,
        "halo.analysis.findings": 1,
        "halo.analysis.transitions": 1,
        "halo.analysis.events_dropped": 0,
        "halo.analysis.links_dropped": 0,
    }
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [
        (evidence.trace_id, evidence.span_id) for evidence in shown.evidence
    ]
    assert values(span.links[0].attributes) == {
        "halo.finding.id": shown.fingerprint,
        "halo.finding.evidence.role": "cause",
    }
    (event,) = span.events
    assert (event.name, event.time_unix_nano) == ("halo.finding", clock.now_ns())
    assert values(event.attributes) == identity | {
        "halo.finding.traces_affected": 5,
        "halo.finding.traces_exposed": 36,
    }


async def test_child_spans_hang_under_the_evidence(
    collector: Any,
    clock: ManualClock,
    open_registry: Callable[..., Registry],
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    registry = open_registry(child_spans=True)
    shown = finding()
    record(shown, registry=registry)
    async with make_emitter(registry) as emitter:
        await emitter.tick(clock.now_ns())
    children = [span for span in collector.spans() if span.name == "halo.finding.occurrence"]
    assert [(span.trace_id.hex(), span.parent_span_id.hex()) for span in children] == [
        (evidence.trace_id, evidence.span_id) for evidence in shown.evidence
    ]
    assert {span.status.code for span in children} == {0}
    ids = {span.span_id for span in collector.spans()}
    assert len(ids) == len(collector.spans())


async def test_headers_compression_and_who_we_are(
    collector: Any,
    clock: ManualClock,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    record(finding())
    async with make_emitter(headers={"X-Tenant": "a"}) as emitter:
        await emitter.tick(clock.now_ns())
    assert collector.metadata["x-tenant"] == "a"
    assert collector.metadata["user-agent"].startswith(f"halo-otel/{__version__} ")


async def test_keys_of_a_resource_are_one_line_each(
    collector: Any,
    clock: ManualClock,
    make_emitter: Callable[..., Emitter],
    record: Callable[..., None],
    finding: Callable[..., Finding],
) -> None:
    shown = finding()
    resource: dict[str, AnyValue] = {
        "service.name": "booking",
        "a\x1b[2J\n\u202eb": 1,
        "a [2J b": 2,
        "\x00": 3,
    }
    record(replace(shown, evidence=(replace(shown.evidence[0], resource=resource),)), judged=0)
    async with make_emitter() as emitter:
        await emitter.tick(clock.now_ns())
    for request in collector.requests["logs"]:
        for resource_logs in request.resource_logs:
            kept = values(resource_logs.resource.attributes)
            assert kept == {"service.name": "booking", "a [2J b": 1}
            assert resource_logs.resource.dropped_attributes_count == 2
