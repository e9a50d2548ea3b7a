"""One request, three ways in: protobuf, OTLP/JSON, JSON lines. All give the same spans and records."""

import base64
import contextlib
import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.errors import BadRequest
from halo_otel.otlp import jsonlines
from halo_otel.otlp.anyvalue import TOO_DEEP
from halo_otel.otlp.decode import TIME_NS_MAX, decode_logs, decode_traces
from halo_otel.otlp.jsonlines import log_records_from_tree, spans_from_json_line, spans_from_tree
from halo_otel.otlp.jsonrequest import DEPTH_MAX, request_from_json
from halo_otel.otlp.jsontext import loads

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
UINT32 = st.sampled_from([0, 1, 2**32 - 1])
UINT64 = st.sampled_from([0, 1, 1_783_394_786_347_034_811, 2**63 - 1, 2**63, 2**64 - 1])
ENUM = st.sampled_from([0, 1, 3, 9, 255, 256, -1])
TRACE_IDS = st.binary(min_size=16, max_size=16) | st.sampled_from([b"", bytes(16), b"\xab" * 15])
SPAN_IDS = st.binary(min_size=8, max_size=8) | st.sampled_from([b"", bytes(8), b"\xab" * 9])
DOUBLES = st.floats(allow_nan=False)  # NaN equals nothing; it has its own test
SCALARS: st.SearchStrategy[dict[str, Any]] = (
    st.builds(dict)
    | st.builds(lambda x: {"string_value": x}, TEXT)
    | st.builds(lambda x: {"bool_value": x}, st.booleans())
    | st.builds(lambda x: {"int_value": x}, st.integers(-(2**63), 2**63 - 1))
    | st.builds(lambda x: {"double_value": x}, DOUBLES)
    | st.builds(lambda x: {"bytes_value": x}, st.binary(max_size=8))
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda items: {"array_value": {"values": items}}, st.lists(inner, max_size=3)
    ) | st.builds(lambda items: {"kvlist_value": {"values": items}}, _pairs(inner))


def _pairs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pair = st.fixed_dictionaries({"key": TEXT, "value": values})
    return st.lists(pair, max_size=3)


VALUES = st.recursive(SCALARS, _containers, max_leaves=6)
ATTRIBUTES = {"attributes": _pairs(VALUES), "dropped_attributes_count": UINT32}
RESOURCE = st.fixed_dictionaries({}, optional=ATTRIBUTES)
SCOPE = st.fixed_dictionaries({}, optional={"name": TEXT, "version": TEXT, **ATTRIBUTES})
EVENT = st.fixed_dictionaries({}, optional={"name": TEXT, "time_unix_nano": UINT64, **ATTRIBUTES})
LINK = st.fixed_dictionaries(
    {},
    optional={
        "trace_id": TRACE_IDS,
        "span_id": SPAN_IDS,
        "trace_state": TEXT,
        "flags": UINT32,
        **ATTRIBUTES,
    },
)
STATUS = st.fixed_dictionaries({}, optional={"message": TEXT, "code": ENUM})
SPAN = st.fixed_dictionaries(
    {"trace_id": TRACE_IDS, "span_id": SPAN_IDS},
    optional={
        "parent_span_id": SPAN_IDS,
        "name": TEXT,
        "kind": ENUM,
        "start_time_unix_nano": UINT64,
        "end_time_unix_nano": UINT64,
        "events": st.lists(EVENT, max_size=2),
        "links": st.lists(LINK, max_size=2),
        "status": STATUS,
        "trace_state": TEXT,
        "flags": UINT32,
        "dropped_events_count": UINT32,
        "dropped_links_count": UINT32,
        **ATTRIBUTES,
    },
)
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "trace_id": TRACE_IDS,
        "span_id": SPAN_IDS,
        "time_unix_nano": UINT64,
        "observed_time_unix_nano": UINT64,
        "severity_number": ENUM,
        "severity_text": TEXT,
        "event_name": TEXT,
        "body": VALUES,
        "flags": UINT32,
        **ATTRIBUTES,
    },
)


def _groups(inner: st.SearchStrategy[Any], scopes: str, items: str) -> st.SearchStrategy[Any]:
    scope = st.fixed_dictionaries(
        {items: st.lists(inner, max_size=3)}, optional={"scope": SCOPE, "schema_url": TEXT}
    )
    group = st.fixed_dictionaries(
        {scopes: st.lists(scope, max_size=2)}, optional={"resource": RESOURCE, "schema_url": TEXT}
    )
    return st.lists(group, max_size=2)


TRACES = st.builds(
    lambda groups: ExportTraceServiceRequest(resource_spans=groups),
    _groups(SPAN, "scope_spans", "spans"),
)
LOGS = st.builds(
    lambda groups: ExportLogsServiceRequest(resource_logs=groups),
    _groups(RECORD, "scope_logs", "log_records"),
)


def otlp_json(request: Any, *, snake_case: bool = False, upper: bool = False) -> bytes:
    """`request` as OTLP/JSON: protobuf's mapping, enums as integers, ids as hex."""
    tree = MessageToDict(
        request, preserving_proto_field_name=snake_case, use_integers_for_enums=True
    )

    def hex_ids(node: Any) -> Any:
        if isinstance(node, list):
            return [hex_ids(item) for item in node]
        if not isinstance(node, dict):
            return node
        for key, value in node.items():
            if key.lower().replace("_", "") in {"traceid", "spanid", "parentspanid"}:
                digits = base64.b64decode(value).hex()
                node[key] = digits.upper() if upper else digits
            else:
                node[key] = hex_ids(value)
        return node

    return json.dumps(hex_ids(tree)).encode()


@given(TRACES)
@settings(deadline=None)
def test_json_body_says_what_the_protobuf_says(request: Any) -> None:
    for body in (
        otlp_json(request),
        otlp_json(request, snake_case=True),
        otlp_json(request, upper=True),
    ):
        assert request_from_json(body, "traces") == request


@given(LOGS)
@settings(deadline=None)
def test_json_log_body_says_what_the_protobuf_says(request: Any) -> None:
    assert request_from_json(otlp_json(request), "logs") == request


@given(TRACES)
@settings(deadline=None)
def test_spans_are_the_same_from_protobuf_and_from_a_json_line(request: Any) -> None:
    spans = list(decode_traces(request.SerializeToString()))
    assert repr(spans_from_json_line(otlp_json(request))) == repr(spans)
    assert repr(spans_from_json_line(otlp_json(request, snake_case=True))) == repr(spans)


@given(LOGS)
@settings(deadline=None)
def test_log_records_are_the_same_from_protobuf_and_from_json(request: Any) -> None:
    records = list(decode_logs(request.SerializeToString()))
    assert repr(log_records_from_tree(loads(otlp_json(request)))) == repr(records)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["key", "value", "values", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(TRACES, st.randoms(use_true_random=False), ODD)
@settings(deadline=None, max_examples=300)
def test_both_json_ways_agree_on_damaged_requests(request: Any, random: Any, odd: Any) -> None:
    """Put something odd at a random place: either both ways refuse it or both read the same."""
    tree = json.loads(otlp_json(request))
    node: Any = tree
    while isinstance(node, (dict, list)) and node:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        place = random.choice(places)
        if random.random() < 0.2 or not isinstance(node[place], (dict, list)):
            node[place] = odd
            break
        node = node[place]
    body = json.dumps(tree).encode()
    assert _outcome(lambda: spans_from_json_line(body)) == _outcome(
        lambda: list(decode_traces(request_from_json(body, "traces").SerializeToString()))
    )


def _outcome(read: Any) -> str:
    try:
        return repr(read())
    except BadRequest as error:
        return f"refused: {error}"


def span_with(**fields: Any) -> dict[str, Any]:
    ids = {"traceId": "AB" * 16, "spanId": "cd" * 8}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{**ids, **fields}]}]}]}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"doubleValue": "NaN"}, "nan"),
        ({"doubleValue": "-Infinity"}, "-inf"),
        ({"doubleValue": 1}, "1.0"),
        ({"intValue": 7}, "7"),
        ({"intValue": "-9223372036854775808"}, "-9223372036854775808"),
        ({"bytesValue": "_-8"}, "b'\\xff\\xef'"),
        ({"stringValue": "\ud83d!"}, "'\ufffd!'"),
        ({"stringValue": "😀"}, "'😀'"),
        ({"unknownValue": 1}, "None"),
        ({"stringValue": "a", "intValue": 1}, "1"),
    ],
)
def test_values_that_exporters_write(value: dict[str, Any], read: str) -> None:
    tree = span_with(attributes=[{"key": "k", "value": value}])
    body = json.dumps(tree).encode()
    ways = (
        spans_from_json_line(body),
        list(decode_traces(request_from_json(body, "traces").SerializeToString())),
    )
    for (span,) in ways:
        assert repr(span.attributes["k"]) == read
        assert span.trace_id == "ab" * 16


def test_unknown_fields_and_enum_names_are_tolerated() -> None:
    tree = span_with(
        kind="SPAN_KIND_SERVER", invented={"deep": [1]}, status={"code": "STATUS_CODE_ERROR"}
    )
    (span,) = spans_from_json_line(json.dumps(tree).encode())
    assert (span.kind, span.status_code) == (2, 2)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"resourceSpans": [', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "body: expected an object"),
        (b'{"resourceSpans": {}}', "resourceSpans: expected an array"),
        (b'{"resourceSpans": [null]}', "resourceSpans[0]: expected an object"),
        (
            json.dumps(span_with(traceId="zz")).encode(),
            "resourceSpans[0].scopeSpans[0].spans[0].traceId: expected a hex id, got 'zz'",
        ),
        (json.dumps(span_with(traceId="ab cd")).encode(), "expected a hex id"),
        (json.dumps(span_with(kind=2**31)).encode(), "spans[0].kind: expected an integer"),
        (json.dumps(span_with(startTimeUnixNano="1e9")).encode(), "startTimeUnixNano"),
        (json.dumps(span_with(name=5)).encode(), "spans[0].name: expected a string, got 5"),
        (
            json.dumps(span_with(attributes=[{"key": "k", "value": {"boolValue": 1}}])).encode(),
            "attributes[0].value.boolValue: expected true or false",
        ),
    ],
)
def test_bad_bodies_are_refused_with_the_place(body: bytes, place: str) -> None:
    for read in (lambda: request_from_json(body, "traces"), lambda: spans_from_json_line(body)):
        with pytest.raises(BadRequest) as refusal:
            read()
        assert place in str(refusal.value)
        assert len(str(refusal.value)) < 1000


def nested_value(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return value


def test_what_json_accepts_protobuf_can_read_back() -> None:
    """At every depth around the limit: as it is, or cut where it is too deep; never refused."""
    cuts: list[int] = []
    for levels in range(DEPTH_MAX // 2 - 10, DEPTH_MAX // 2 + 10):
        tree = span_with(attributes=[{"key": "k", "value": nested_value(levels)}])
        before = len(cuts)
        request = request_from_json(json.dumps(tree).encode(), "traces", cuts.append)
        spans = list(decode_traces(request.SerializeToString()))
        assert (TOO_DEEP in str(spans)) == (len(cuts) > before)
        assert spans == spans_from_tree(tree)
    assert set(cuts) == {1}
    assert 0 < len(cuts) < 20


def test_what_is_too_deep_outside_of_values_is_refused_or_ignored() -> None:
    body = f'{{"resourceSpans":[],"unknown":{"[" * 2000}{"]" * 2000}}}'.encode()
    assert not request_from_json(body, "traces").SerializeToString()
    with pytest.raises(BadRequest, match="not JSON"):
        request_from_json(b'{"a":' + b"[" * 2000 + b"]" * 1999 + b"}", "traces")


def test_metrics_with_exemplars_are_read() -> None:
    body = (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"dataPoints":'
        b'[{"asInt":"3","exemplars":[{"traceId":"' + b"0A" * 16 + b'","asDouble":1}]}]}}]}]}]}'
    )
    request: Any = request_from_json(body, "metrics")
    assert isinstance(request, ExportMetricsServiceRequest)
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    assert (point.as_int, point.exemplars[0].trace_id) == (3, b"\x0a" * 16)


@given(st.binary(max_size=64))
def test_garbage_is_decoded_or_refused(payload: bytes) -> None:
    for decode in (decode_traces, decode_logs):
        with contextlib.suppress(BadRequest):
            list(decode(payload))


def test_refusal_comes_before_iteration() -> None:
    with pytest.raises(BadRequest, match="ExportTraceServiceRequest"):
        decode_traces(b"\xff")


def test_resource_and_scope_are_shared() -> None:
    request = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    for index in range(1, 4):
        scope_spans.spans.add(trace_id=b"t" * 16, span_id=bytes([index]) * 8)
    spans = list(decode_traces(request.SerializeToString()))
    assert len(spans) == 3
    assert len({id(span.resource) for span in spans}) == 1
    assert len({id(span.scope) for span in spans}) == 1


def test_what_columns_cannot_hold_is_bent() -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        parent_span_id=bytes(8),
        kind=-1,
        end_time_unix_nano=2**64 - 1,
    )
    (span,) = decode_traces(request.SerializeToString())
    assert (span.kind, span.end_ns, span.parent_span_id) == (0, TIME_NS_MAX, "")


def test_collector_shape_takes_the_fast_way() -> None:
    """The general way is never needed for what the file exporter writes."""
    tree = span_with(
        parentSpanId="ef" * 8,
        name="n",
        kind=3,
        startTimeUnixNano="1",
        endTimeUnixNano="2",
        attributes=[{"key": "k", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}}],
        events=[{"timeUnixNano": "1", "name": "e"}],
        status={"code": 2, "message": "m"},
    )
    assert jsonlines._spans(tree) == spans_from_tree(tree)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", [b"", b"\\"])
def test_a_text_that_does_not_end_is_refused_in_the_time_of_its_length(end: bytes) -> None:
    """To look for its end from each quote in it would take hours."""
    with pytest.raises(BadRequest):
        loads(b'["' + b'\\"' * 1_000_000 + end)
