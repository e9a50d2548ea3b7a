"""The verdict on one request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from halo_otel.errors import BadRequest
from halo_otel.otlp import names
from halo_otel.receiver.admission import Signal, Verdict, admit
from tests.receiver.rig import log_request, trace_request

SIGNALS: tuple[Signal, ...] = ("traces", "logs", "metrics")
REQUESTS: dict[Signal, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


def span_names(verdict: Verdict) -> list[str]:
    request = ExportTraceServiceRequest.FromString(verdict.payload)
    return [s.name for r in request.resource_spans for c in r.scope_spans for s in c.spans]


@given(payload=st.binary(max_size=300), signal=st.sampled_from(SIGNALS))
def test_any_bytes_get_a_verdict_or_bad_request(payload: bytes, signal: Signal) -> None:
    try:
        verdict = admit(signal, payload)
    except BadRequest:
        return
    if verdict.payload:
        REQUESTS[signal].FromString(verdict.payload)


@given(data=st.data(), signal=st.sampled_from(SIGNALS))
def test_any_change_to_a_sound_request_gets_a_verdict_or_bad_request(
    data: st.DataObject, signal: Signal
) -> None:
    sound = (trace_request(4) if signal == "traces" else log_request(4)).SerializeToString()
    start = data.draw(st.integers(0, len(sound)))
    stop = data.draw(st.integers(start, len(sound)))
    payload = sound[:start] + data.draw(st.binary(max_size=20)) + sound[stop:]
    try:
        verdict = admit(signal, payload)
    except BadRequest:
        return
    if not verdict.payload:
        return
    again = admit(signal, verdict.payload)
    assert (again.accepted, again.rejected, again.looped) == (verdict.accepted, 0, 0)
    assert again.payload == verdict.payload


def test_a_sound_request_is_passed_on_byte_for_byte() -> None:
    # Fields in an order no serialiser would choose and one nobody knows: only a copy keeps them.
    payload = b"\xfa\x3e\x03new" + trace_request(2).SerializeToString() + b"\xfa\x3e\x03new"
    assert admit("traces", payload) == Verdict(
        payload=payload, accepted=2, rule=admit("traces", b"").rule
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"trace_id": b""},
        {"trace_id": b"\1" * 15},
        {"trace_id": b"\1" * 17},
        {"trace_id": bytes(16)},
        {"trace_id": b"\1" * 8},
        {"span_id": b""},
        {"span_id": b"\1" * 7},
        {"span_id": b"\1" * 16},
        {"span_id": bytes(8)},
        {"parent_span_id": b"\1" * 16},
        {"parent_span_id": b"\1"},
    ],
)
def test_a_span_with_invalid_ids_goes_its_neighbours_stay(bad: dict[str, bytes]) -> None:
    request = trace_request(5)
    spans = request.resource_spans[0].scope_spans[0].spans
    for key, value in bad.items():
        setattr(spans[2], key, value)
    verdict = admit("traces", request.SerializeToString())
    assert (verdict.accepted, verdict.rejected) == (4, 1)
    assert span_names(verdict) == ["s1", "s2", "s4", "s5"]


def test_parents_may_be_absent_or_of_eight_bytes() -> None:
    request = trace_request(2)
    request.resource_spans[0].scope_spans[0].spans[1].parent_span_id = b"\1" * 8
    assert admit("traces", request.SerializeToString()).rejected == 0


def test_unknown_fields_survive_when_neighbours_are_taken_out() -> None:
    request = trace_request(2)
    spans = request.resource_spans[0].scope_spans[0].spans
    future = spans[0].SerializeToString() + b"\xfa\x3e\x06future"
    spans[0].MergeFromString(b"\xfa\x3e\x06future")
    spans[1].trace_id = b"short"
    verdict = admit("traces", request.SerializeToString())
    assert verdict.accepted == 1
    assert future in verdict.payload


def test_nothing_is_journaled_when_nothing_is_left() -> None:
    request = trace_request(1)
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    verdict = admit("traces", request.SerializeToString())
    assert (verdict.payload, verdict.rejected) == (b"", 1)


@pytest.mark.parametrize("signal", SIGNALS)
def test_empty_requests_and_empty_envelopes_are_fine(signal: Signal) -> None:
    request = trace_request(0) if signal == "traces" else log_request(0)
    for payload in (b"", request.SerializeToString()):
        verdict = admit(signal, payload)
        assert (verdict.payload, verdict.accepted, verdict.rejected) == (b"", 0, 0)


@pytest.mark.parametrize(
    ("ids", "valid"),
    [
        ({"trace_id": b"", "span_id": b""}, True),
        ({"trace_id": b"\1" * 16, "span_id": b""}, True),
        ({"trace_id": b"\1" * 12}, False),
        ({"span_id": b"\1" * 12}, False),
    ],
)
def test_log_records_may_have_no_ids_but_not_wrong_ones(ids: dict[str, bytes], valid: bool) -> None:
    request = log_request(3)
    record = request.resource_logs[0].scope_logs[0].log_records[1]
    for key, value in ids.items():
        setattr(record, key, value)
    verdict = admit("logs", request.SerializeToString())
    assert (verdict.accepted, verdict.rejected) == ((3, 0) if valid else (2, 1))


@pytest.mark.parametrize(
    ("service", "scope"), [(names.SERVICE_NAME, "any"), ("any", names.SCOPE_NAME)]
)
def test_our_own_telemetry_is_dropped_and_what_came_with_it_stays(service: str, scope: str) -> None:
    spans = trace_request(3, service, scope)
    spans.MergeFrom(trace_request(2))
    verdict = admit("traces", spans.SerializeToString())
    assert (verdict.accepted, verdict.rejected, verdict.looped) == (2, 0, 3)
    assert span_names(verdict) == ["s1", "s2"]
    logs = log_request(3, service, scope)
    assert admit("logs", logs.SerializeToString()).looped == 3
    assert admit("logs", logs.SerializeToString()).payload == b""


def test_a_service_that_only_resembles_ours_is_not_dropped() -> None:
    request = trace_request(1, service="halo-otel-demo", scope="halo_otel.demo")
    assert admit("traces", request.SerializeToString()).looped == 0


def test_a_broken_string_is_replaced_and_the_request_kept() -> None:
    request = trace_request(3)
    span = request.resource_spans[0].scope_spans[0].spans[1]
    span.name = "cut"
    span.attributes.add(key="k").value.array_value.values.add(string_value="deep")
    span.attributes.add(key="b").value.bytes_value = b"\xff\xfe"
    payload = request.SerializeToString().replace(b"cut", b"c\xc3t").replace(b"deep", b"d\xffep")
    verdict = admit("traces", payload)
    assert (verdict.accepted, verdict.rejected, verdict.repaired) == (3, 0, True)
    spans = ExportTraceServiceRequest.FromString(verdict.payload).resource_spans[0]
    mended = spans.scope_spans[0].spans[1]
    assert mended.name == "c�t"
    assert mended.attributes[0].value.array_value.values[0].string_value == "d�ep"
    assert mended.attributes[1].value.bytes_value == b"\xff\xfe"
    assert span.trace_id == mended.trace_id


def test_broken_strings_in_logs_are_replaced_too() -> None:
    request = log_request(1)
    payload = request.SerializeToString().replace(b"record 1", b"record \xff")
    verdict = admit("logs", payload)
    body = ExportLogsServiceRequest.FromString(verdict.payload).resource_logs[0].scope_logs[0]
    assert body.log_records[0].body == AnyValue(string_value="record �")


def test_garbage_is_a_bad_request_that_names_what_was_expected() -> None:
    for signal in SIGNALS:
        with pytest.raises(BadRequest, match=r"not a protobuf Export\w+ServiceRequest"):
            admit(signal, b"garbage")
