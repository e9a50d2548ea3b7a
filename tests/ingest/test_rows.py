"""Spans to rows and back: nothing of what was received is lost."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.agentspan.logevents import event_name
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import (
    LogRecord,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanId,
    SpanLink,
    TraceId,
)
from halo_otel.otlp.anyvalue import from_json
from halo_otel.window.facts import canonical_arguments
from halo_otel.window.schema import SPAN_COLUMNS, TEXT_CHARS_MAX
from halo_otel.window.single import SingleWindow
from tests.window.samples import BOOKING, a_batch, a_span

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
any_values = st.recursive(
    st.none()
    | texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(texts, any_values, max_size=4)
uint32, times = st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1)
trace_ids = st.integers(1, 2**128 - 1).map(lambda number: TraceId(f"{number:032x}"))
span_ids = st.integers(1, 2**64 - 1).map(lambda number: SpanId(f"{number:016x}"))
resources = st.builds(
    Resource, attributes=attributes, dropped_attributes_count=uint32, schema_url=texts
)
scopes = st.builds(
    Scope,
    name=texts,
    version=texts,
    attributes=attributes,
    dropped_attributes_count=uint32,
    schema_url=texts,
)
events = st.builds(
    SpanEvent, name=texts, time_ns=times, attributes=attributes, dropped_attributes_count=uint32
)
links = st.builds(
    SpanLink,
    trace_id=trace_ids,
    span_id=span_ids,
    trace_state=texts,
    attributes=attributes,
    dropped_attributes_count=uint32,
    flags=uint32,
)
spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids | st.just(SpanId("")),
    name=texts,
    kind=st.integers(0, 255),
    start_ns=times,
    end_ns=times,
    attributes=attributes,
    events=st.lists(events, max_size=2).map(tuple),
    links=st.lists(links, max_size=2).map(tuple),
    status_code=st.integers(0, 255),
    status_message=texts,
    trace_state=texts,
    flags=uint32,
    dropped_attributes_count=uint32,
    dropped_events_count=uint32,
    dropped_links_count=uint32,
    resource=resources,
    scope=scopes,
)
log_records = st.builds(
    LogRecord,
    trace_id=trace_ids | st.just(TraceId("")),
    span_id=span_ids | st.just(SpanId("")),
    time_ns=times,
    observed_ns=times,
    severity_number=st.integers(0, 255),
    severity_text=texts,
    event_name=texts,
    body=any_values,
    attributes=attributes,
    flags=uint32,
    dropped_attributes_count=uint32,
    resource=resources,
    scope=scopes,
)


def exactly(value: object) -> str:
    """Equal only if the types are equal too: `1 == 1.0 == True` are three values of OTLP."""
    return repr(value)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(spans, min_size=1, max_size=4, unique_by=lambda span: (span.trace_id, span.span_id))
)
def test_a_span_comes_back_as_it_was_received(received: list[Span]) -> None:
    with SingleWindow() as window:
        window.insert(a_batch(*received))
        with window.view() as view:
            for span in received:
                (stored,) = [
                    s for s in view.trace_spans(span.trace_id) if s.span_id == span.span_id
                ]
                assert unordered(stored) == unordered(span)


def unordered(span: Span) -> str:
    rest = [getattr(span, name) for name in Span.__slots__ if name not in ("resource", "scope")]
    return exactly([rest, unordered_origins(span.resource, span.scope)])


def unordered_origins(resource: Resource, scope: Scope) -> str:
    """Resources and scopes are shared by content, so the order of their attributes is not kept."""
    return exactly(
        [
            (sorted(origin.attributes.items(), key=lambda item: item[0]), counts)
            for origin, counts in (
                (resource, (resource.dropped_attributes_count, resource.schema_url)),
                (
                    scope,
                    (scope.name, scope.version, scope.dropped_attributes_count, scope.schema_url),
                ),
            )
        ]
    )


@settings(max_examples=20, deadline=None)
@given(log_records)
def test_a_log_record_is_stored_whole(record: LogRecord) -> None:
    builder = RowBuilder()
    builder.add_log_record(record, 7, 9)
    with SingleWindow() as window:
        window.insert(builder.batch())
        with window.view() as view:
            result = view.con.execute("FROM log_records")
            names = [column[0] for column in result.description]
            (row,) = result.fetchall()
            stored = dict(zip(names, row, strict=True))
            resource = view.resource_of(stored.pop("resource_id"))
            scope = view.scope_of(stored.pop("scope_id"))
    assert exactly(from_json(stored.pop("body"))) == exactly(record.body)
    assert exactly(from_json(stored.pop("attributes"))) == exactly(record.attributes)
    service = record.resource.attributes.get("service.name")
    assert stored.pop("service") == (service if isinstance(service, str) and service else None)
    assert (stored.pop("arrival_ns"), stored.pop("position")) == (7, 9)
    assert stored.pop("genai_event") == event_name(record)
    assert all(getattr(record, name) == value for name, value in stored.items())
    assert unordered_origins(resource, scope) == unordered_origins(record.resource, record.scope)


def cells(span: Span) -> dict[str, object]:
    return {name: values[0] for name, values in a_batch(span).spans.items()}


def a_tool_call(arguments: str, result: str = "ok") -> Span:
    return a_span(
        1,
        attributes={
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "search",
            "gen_ai.tool.call.arguments": arguments,
            "gen_ai.tool.call.result": result,
        },
    )


def test_a_row_has_every_column_and_the_agent_facts() -> None:
    row = cells(a_tool_call('{"b": 1, "a": 2}'))
    assert list(row) == list(SPAN_COLUMNS)
    assert (row["service"], row["span_kind"], row["tool_name"]) == ("booking", "tool", "search")
    assert (row["tool_arguments"], row["tool_arguments_chars"]) == ('{"a":2,"b":1}', 13)
    sources = json.loads(str(row["fact_sources"]))
    assert sources["tool_arguments"] == "gen_ai.tool.call.arguments"
    assert (row["model_served"], row["input_tokens"]) == (None, None)


def test_long_texts_are_cut_in_the_facts_and_whole_in_the_attributes() -> None:
    result = "é" * (TEXT_CHARS_MAX + 5)
    row = cells(a_tool_call("{}", result))
    assert (row["tool_result"], row["tool_result_chars"]) == (result[:-5], len(result))
    with SingleWindow() as window:
        window.insert(a_batch(a_tool_call("{}", result)))
        with window.view() as view:
            (span,) = view.trace_spans(a_span(1).trace_id)
    assert span.attributes["gen_ai.tool.call.result"] == result


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"b": {"d": 1, "c": [2, 1]}, "a": null}', '{"a":null,"b":{"c":[2,1],"d":1}}'),
        (' {"a" : "\\u00e9"}', '{"a":"é"}'),
        ('{"id": 123456789012345678901234}', '{"id":123456789012345678901234}'),
        ('{"id": 1}{', '{"id": 1}{'),
        ("[2, 1]", "[2, 1]"),
        ("plain text", "plain text"),
        ("", ""),
        ("{" * 100_000, "{" * 100_000),
    ],
)
def test_arguments_are_canonical_where_they_are_a_json_object(text: str, canonical: str) -> None:
    assert canonical_arguments(text) == canonical


def test_equal_resources_are_one_and_others_are_not() -> None:
    twin = Resource(attributes=dict(reversed(list(BOOKING.attributes.items()))))
    other = Resource(attributes=BOOKING.attributes, schema_url="x")
    batch = a_batch(a_span(1), a_span(2, resource=twin), a_span(3, resource=other))
    first, second, third = batch.spans["resource_id"]
    assert first == second != third
    assert batch.resources["resource_id"] == [first, third]
    # The id is on disk: it must be the same in every version.
    assert first == 2494689795939205809


def test_a_batch_empties_the_builder() -> None:
    builder = RowBuilder()
    builder.add_span(a_span(1), 0, 0)
    assert builder.size == 1
    assert len(builder.batch().spans["span_id"]) == 1
    assert (builder.size, builder.batch().spans, builder.batch().resources) == (0, {}, {})
