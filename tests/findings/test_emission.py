"""What is emitted looks as the backends need it, whatever strangers wrote into their spans."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.findings import Registry, RunInfo, SignalKind, emission, otlpjson
from halo_otel.model.finding import Finding, Role, Subject
from halo_otel.otlp.jsonrequest import request_from_json

T0 = 1_800_000_000_000_000_000
OWN = {"service.name": "halo-otel", "service.version": "1", "service.instance.id": "local"}
# Loki's limits per line (emission.md C2).
METADATA_BYTES_MAX, METADATA_ENTRIES_MAX, LINE_BYTES_MAX = 64 * 1024, 128, 256 * 1024

HOSTILE = "x\x00\n\r\x1b[31m\u202e‮\ud800" + "ü" * 300_000


def hostile(build: Any, **changes: Any) -> Finding:
    resource: dict[str, Any] = {f"key{number}{'k' * 20}": "ü" * 5000 for number in range(200)}
    resource |= {"service.name": "booking", "k8s.pod.name": "p", "nested": {"a": ["b" * 9000]}}
    resource |= {"k" * 400: "v", "process.command_args": ["a", "b"], "nan": float("nan")}
    finding: Finding = build.finding(
        title=HOSTILE,
        summary=HOSTILE,
        recommendation=HOSTILE,
        subject=Subject(
            service=HOSTILE,
            agent=HOSTILE,
            tool=HOSTILE,
            model=HOSTILE,
            attributes={f"{number}{HOSTILE}": HOSTILE for number in range(30)},
        ),
        evidence=tuple(
            build.evidence(number, note=HOSTILE, resource=resource) for number in range(30)
        ),
        **changes,
    )
    return finding


def structured_metadata(resource_logs: dict[str, Any]) -> list[tuple[str, str]]:
    """What Loki stores beside the line: attributes of record and resource, values as text."""
    (record,) = resource_logs["scopeLogs"][0]["logRecords"]
    pairs = [*resource_logs["resource"]["attributes"], *record["attributes"]]
    fixed = [(key, record.get(key, "")) for key in ("traceId", "spanId", "severityText")]
    fixed += [("observed_timestamp", record["observedTimeUnixNano"]), ("scope", "halo_otel 0.1.0")]
    return fixed + [(pair["key"], next(map(str, pair["value"].values()), "")) for pair in pairs]


def run_info() -> RunInfo:
    return RunInfo(start_ns=T0, end_ns=T0 + 1, trigger="demand", duration_s=2.0)


@pytest.mark.parametrize("kind", ["pattern", "occurrence"])
def test_records_of_hostile_text_stay_within_lokis_limits(kind: str, build: Any) -> None:
    finding = hostile(build)
    if kind == "pattern":
        messages = [emission.pattern(finding, run_info(), T0, repeat=False)]
    else:
        messages = emission.occurrences(finding, finding.evidence, T0, child_spans=False, own=OWN)
    for message in messages:
        request_from_json(f'{{"resourceLogs":[{message.payload}]}}'.encode(), "logs")
        parsed = json.loads(message.payload)
        metadata = structured_metadata(parsed)
        assert len(metadata) < METADATA_ENTRIES_MAX
        size = sum(len(k.encode()) + len(v.encode("utf-8", "replace")) for k, v in metadata)
        assert size < METADATA_BYTES_MAX
        (record,) = parsed["scopeLogs"][0]["logRecords"]
        body = record["body"]["stringValue"]
        assert len(body.encode()) < LINE_BYTES_MAX
        assert body.isprintable()
        kept = {pair["key"]: pair["value"] for pair in parsed["resource"]["attributes"]}
        assert kept["service.name"] == {"stringValue": "booking"}
        assert kept["k8s.pod.name"] == {"stringValue": "p"}
        assert parsed["resource"]["droppedAttributesCount"] == 206 - len(kept)
        assert "nested" not in kept
        assert "k" * 400 not in kept


def test_the_analysis_span_is_bounded_and_says_so(build: Any) -> None:
    findings = [build.finding(f"d{number}", range(20)) for number in range(200)]
    evidence = tuple(build.evidence(number) for number in range(20))
    findings = [hostile(build), *(build.finding(f.detector, evidence=evidence) for f in findings)]
    message = emission.analysis(
        build.report(*findings), findings, run_info(), T0, transitions=3, own=OWN
    )
    (span,) = json.loads(message.payload)["scopeSpans"][0]["spans"]
    assert len(span["events"]) == len(span["links"]) == 128
    assert span["droppedEventsCount"] == 201 - 128
    assert span["droppedLinksCount"] == 30 + 200 * 20 - 128
    attributes = {pair["key"]: pair["value"] for pair in span["attributes"]}
    assert attributes["halo.analysis.links_dropped"] == {"intValue": str(30 + 200 * 20 - 128)}
    assert attributes["halo.analysis.events_dropped"] == {"intValue": "73"}
    # Every finding has its first link before any has its second.
    about = [link["attributes"][0]["value"]["stringValue"] for link in span["links"]]
    assert len(set(about)) == 128
    assert len(message.payload) < 1 << 20


def test_contrast_is_linked_and_never_an_occurrence(registry: Registry, build: Any) -> None:
    finding = build.finding(
        evidence=(build.evidence(1, role=Role.CONTRAST), build.evidence(2, role=Role.SYMPTOM))
    )
    registry.record(build.report(finding), build.run(), T0)
    logs = [json.loads(r.payload) for r in registry.pending(SignalKind.LOG, 10, T0, 1)]
    records = [r for log in logs for r in log["scopeLogs"][0]["logRecords"]]
    told = [r["traceId"] for r in records if "traceId" in r]
    assert told == [build.trace(2)]
    (span,) = [json.loads(r.payload) for r in registry.pending(SignalKind.SPAN, 10, T0, 1)]
    links = span["scopeSpans"][0]["spans"][0]["links"]
    assert [link["traceId"] for link in links] == [build.trace(1), build.trace(2)]


@pytest.mark.parametrize(("judged", "spans"), [(0, 0), (3, 1)])
def test_a_quiet_run_has_a_span_only_if_it_judged_traces(
    registry: Registry, build: Any, judged: int, spans: int
) -> None:
    registry.record(build.report(judged=judged), build.run(), T0)
    assert len(registry.pending(SignalKind.SPAN, 10, T0, 1)) == spans
    assert registry.pending(SignalKind.LOG, 10, T0, 1) == []


def test_child_spans_are_opt_in(open_registry: Callable[..., Registry], build: Any) -> None:
    registry = open_registry(child_spans=True)
    registry.record(build.report(build.finding(), judged=0), build.run(), T0)
    pending = registry.pending(SignalKind.SPAN, 10, T0, 1)
    spans = [json.loads(r.payload)["scopeSpans"][0]["spans"][0] for r in pending]
    children = [span for span in spans if span["name"] == "halo.finding.occurrence"]
    assert [span["parentSpanId"] for span in children] == [
        span.span_id for span in build.finding().evidence
    ]
    for span, shown in zip(children, build.finding().evidence, strict=True):
        assert span["traceId"] == shown.trace_id
        assert span["spanId"] not in {"", shown.span_id}
        assert span["startTimeUnixNano"] == span["endTimeUnixNano"] == str(shown.time_ns)
        assert span["status"] == {}


any_values = st.recursive(
    st.none()
    | st.text()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=50),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=20), any_values, max_size=5))
def test_every_value_type_of_a_resource_is_copied(resource: dict[str, Any]) -> None:
    payload = otlpjson.log_record(
        resource=resource,
        time_ns=1,
        observed_ns=2,
        severity_number=9,
        event_name="halo.finding",
        body="",
        attributes={},
    )
    request: Any = request_from_json(f'{{"resourceLogs":[{payload}]}}'.encode(), "logs")
    copied = {pair.key: pair.value for pair in request.resource_logs[0].resource.attributes}
    assert len(copied) + request.resource_logs[0].resource.dropped_attributes_count == len(resource)
    for key, value in copied.items():
        # Keys are made one line, so several may become the same; one of them is kept.
        sent = [repr(resource[name]) for name in resource if otlpjson.line(name, 1000) == key]
        assert repr(plain(value)) in sent  # repr tells 1 from True, and NaN is NaN


def plain(value: Any) -> Any:
    case = value.WhichOneof("value")
    if case is None:
        return None
    if case == "array_value":
        return [plain(item) for item in value.array_value.values]
    if case == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, case)


@given(st.text(), st.integers(3, 40))
def test_cut_text_is_valid_and_bounded(text: str, bytes_max: int) -> None:
    short = otlpjson.cut(text, bytes_max)
    assert len(short.encode("utf-8", "replace")) <= bytes_max
    assert short == text or short.endswith("…")
