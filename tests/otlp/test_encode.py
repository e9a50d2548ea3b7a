"""Spans that are written come back as they were, as protobuf and as JSON lines."""

from hypothesis import given
from hypothesis import strategies as st

from halo_otel.model.span import Resource, Scope, Span, SpanEvent, SpanId, SpanLink, TraceId
from halo_otel.otlp.decode import decode_traces
from halo_otel.otlp.encode import json_line, requests
from halo_otel.otlp.jsonlines import spans_from_json_line

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | text
    | st.binary(max_size=4)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(text, values, max_size=4)
trace_ids = st.binary(min_size=16, max_size=16).filter(any).map(lambda raw: TraceId(raw.hex()))
span_ids = st.binary(min_size=8, max_size=8).filter(any).map(lambda raw: SpanId(raw.hex()))
times = st.integers(0, 2**63 - 1)
counts = st.integers(0, 2**32 - 1)
resources = st.builds(
    Resource, attributes=attributes, dropped_attributes_count=counts, schema_url=text
)
scopes = st.builds(
    Scope,
    name=text,
    version=text,
    attributes=attributes,
    dropped_attributes_count=counts,
    schema_url=text,
)
spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=st.just(SpanId("")) | span_ids,
    name=text,
    kind=st.integers(0, 5),
    start_ns=times,
    end_ns=times,
    attributes=attributes,
    events=st.lists(
        st.builds(
            SpanEvent,
            name=text,
            time_ns=times,
            attributes=attributes,
            dropped_attributes_count=counts,
        ),
        max_size=2,
    ).map(tuple),
    links=st.lists(
        st.builds(
            SpanLink,
            trace_id=trace_ids,
            span_id=span_ids,
            trace_state=text,
            attributes=attributes,
            dropped_attributes_count=counts,
            flags=counts,
        ),
        max_size=2,
    ).map(tuple),
    status_code=st.integers(0, 2),
    status_message=text,
    trace_state=text,
    flags=counts,
    dropped_attributes_count=counts,
    dropped_events_count=counts,
    dropped_links_count=counts,
    resource=resources,
    scope=scopes,
)


@given(spans)
def test_a_span_survives_protobuf(span: Span) -> None:
    [request] = requests([span])
    assert list(decode_traces(request)) == [span]


@given(spans)
def test_a_span_survives_a_json_line(span: Span) -> None:
    line = json_line([span])
    assert line.count(b"\n") == 1
    assert spans_from_json_line(line) == [span]


@given(st.lists(spans, max_size=5), st.integers(1, 3))
def test_no_batch_is_larger_than_asked(several: list[Span], size: int) -> None:
    batches = [list(decode_traces(one)) for one in requests(several, spans_per_request=size)]
    assert all(len(batch) <= size for batch in batches)
    assert sorted(str(span) for batch in batches for span in batch) == sorted(map(str, several))
