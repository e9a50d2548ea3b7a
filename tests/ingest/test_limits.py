"""What a window stores of one span: the first of what is too much, a mark where something was cut."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.limits import Cutter
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import FrameKind, JournalReader
from halo_otel.model.span import AnyValue, Span
from halo_otel.otlp.anyvalue import TOO_DEEP
from halo_otel.otlp.decode import decode_traces
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile

LIMITS = sections.Window(
    attribute_count_limit=5,
    attribute_value_length_limit=2000,
    attribute_depth_limit=3,
    event_count_limit=2,
    link_count_limit=1,
)
LONG = "word " * 1000


def a_request() -> Any:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    for number in range(7):
        resource.resource.attributes.add(key=f"r{number}").value.int_value = number
    span = resource.scope_spans.add().spans.add(name="step")
    span.trace_id, span.span_id = b"\1" * 16, b"\1" * 8
    return message


def span_of(message: Any) -> Any:
    return message.resource_spans[0].scope_spans[0].spans[0]


def stored(
    tmp_path: Path, message: Any, kind: FrameKind = FrameKind.TRACES
) -> tuple[dict[str, Any], Counters]:
    """The one row of a request, and what was counted."""
    counters, clock = Counters(), ManualClock()
    journal = JournalFile(tmp_path / "journal", clock)
    durable = journal.append(message.SerializeToString(), kind=kind)
    store = WindowStore(tmp_path / "windows", LIMITS, counters)
    store.open()
    with JournalReader(journal.directory, 0) as reader:
        Ingest(reader, store, counters, clock).tick(durable)
    table = "raw_spans" if kind is FrameKind.TRACES else "log_records"
    with store.view(0) as view:
        if kind is FrameKind.TRACES:
            (span,) = view.trace_spans("01" * 16)
            row: dict[str, Any] = {"span": span}
        else:
            row = {}
        result = view.con.execute(f"FROM {table}")
        names = [column[0] for column in result.description or ()]
        row |= dict(zip(names, result.fetchone() or (), strict=True))
    store.close()
    return row, counters


def test_the_first_attributes_are_kept_and_the_others_counted(tmp_path: Path) -> None:
    message = a_request()
    span = span_of(message)
    span.dropped_attributes_count = 2**32 - 2
    for number in range(8):
        span.attributes.add(key=f"k{number}").value.int_value = number
    row, counters = stored(tmp_path, message)
    assert dict(row["span"].attributes) == {f"k{number}": number for number in range(5)}
    assert row["span"].dropped_attributes_count == 2**32 - 1
    assert len(row["span"].resource.attributes) == 5
    assert row["span"].resource.dropped_attributes_count == 2
    assert counters.value("halo.ingest.dropped_attributes") == 3 + 2


def test_a_long_text_is_cut_between_words_and_says_so(tmp_path: Path) -> None:
    message = a_request()
    span = span_of(message)
    span.attributes.add(key="text").value.string_value = LONG
    span.attributes.add(key="short").value.string_value = "short"
    span.attributes.add(key="bytes").value.bytes_value = b"\1" * 5000
    span.attributes.add(key="list").value.array_value.values.add().string_value = LONG
    span.status.message = LONG
    span.events.add(name="e").attributes.add(key="text").value.string_value = LONG
    row, counters = stored(tmp_path, message)
    attributes = row["span"].attributes
    text = attributes["text"]
    assert text == LONG[:1999] + " [cut: 1999 of 5000 characters]"
    assert attributes["list"] == [text]
    assert row["span"].status_message == text
    assert row["span"].events[0].attributes["text"] == text
    assert attributes["bytes"] == b"\1" * 2000
    assert attributes["short"] == "short"
    assert counters.value("halo.ingest.cut_values") == 5


def test_events_and_links_have_an_end(tmp_path: Path) -> None:
    message = a_request()
    span = span_of(message)
    for number in range(4):
        span.events.add(name=f"e{number}")
        span.links.add(trace_id=bytes([number + 1] * 16), span_id=bytes([number + 1] * 8))
    row, counters = stored(tmp_path, message)
    assert [event.name for event in row["span"].events] == ["e0", "e1"]
    assert row["span"].dropped_events_count == 2
    assert [link.span_id for link in row["span"].links] == ["01" * 8]
    assert row["span"].dropped_links_count == 3
    assert counters.value("halo.ingest.dropped_events") == 2
    assert counters.value("halo.ingest.dropped_links") == 3


def test_a_deep_value_is_flattened_and_its_neighbours_are_not(tmp_path: Path) -> None:
    message = a_request()
    span = span_of(message)
    value = span.attributes.add(key="deep").value
    for _ in range(6):
        value = value.array_value.values.add()
    value.int_value = 1
    span.attributes.add(key="flat").value.array_value.values.add().int_value = 1
    row, counters = stored(tmp_path, message)
    assert row["span"].attributes["deep"] == [[[TOO_DEEP]]]
    assert row["span"].attributes["flat"] == [1]
    assert counters.value("halo.ingest.cut_values") == 1


def test_log_records_have_the_same_limits(tmp_path: Path) -> None:
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add(severity_text=LONG)
    record.trace_id = b"\1" * 16
    record.body.string_value = LONG
    for number in range(8):
        record.attributes.add(key=f"k{number}").value.int_value = number
    row, counters = stored(tmp_path, message, FrameKind.LOGS)
    assert row["severity_text"].endswith("[cut: 1999 of 5000 characters]")
    assert list(json.loads(row["attributes"])) == ["k0", "k1", "k2", "k3", "k4"]
    assert row["dropped_attributes_count"] == 3
    assert counters.value("halo.ingest.cut_values") == 2


VALUES = st.recursive(
    st.text(max_size=8) | st.integers(0, 9) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5))
def test_what_is_within_the_limits_is_the_same_object(attributes: dict[str, AnyValue]) -> None:
    span = a_span(attributes)
    counts = Counter[str]()
    (same,) = Cutter(LIMITS, counts).spans([span], 100)
    assert same is span
    (equal,) = Cutter(LIMITS, counts).spans([span], 1 << 30)
    assert equal == span
    assert not counts


@pytest.mark.parametrize("size_bytes", [2000, 2001])
def test_a_request_that_cannot_hold_a_long_text_is_not_searched_for_one(size_bytes: int) -> None:
    span = a_span({"k": "x" * 3000})  # which a request of 2000 bytes does not hold
    (cut,) = Cutter(LIMITS, Counter()).spans([span], size_bytes)
    assert (cut is span) == (size_bytes == 2000)


def a_span(attributes: dict[str, AnyValue]) -> Span:
    message = a_request()
    del message.resource_spans[0].resource.attributes[:]
    (span,) = decode_traces(message.SerializeToString())
    return replace(span, attributes=attributes)
