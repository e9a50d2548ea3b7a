"""Facts that log records tell are the facts that span events would tell."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.agentspan.logevents import EVALUATION, event_name, span_events
from halo_otel.config import sections
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import AnyValue, Attributes, LogRecord, Span, SpanEvent, SpanId
from halo_otel.selfobs import Counters
from halo_otel.window import joined
from halo_otel.window.facts import FACT_COLUMNS
from halo_otel.window.schema import Batch
from halo_otel.window.single import SingleWindow
from halo_otel.window.store import WindowStore
from halo_otel.window.view import View
from tests.window.samples import AGENTS, BOOKING, NOON_NS, a_batch, a_span

LENGTH_NS = 300 * 10**9
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "large"}
LONG = "Tokyo, " * 100  # stored by reference
DETAILS = "gen_ai.client.inference.operation.details"


def a_chat(number: int = 1, trace: int = 1, **changes: Any) -> Span:
    return a_span(number, trace, **{"attributes": CHAT, **changes})


def about(
    span: Span, name: str, body: AnyValue = None, attributes: Attributes | None = None, at: int = 0
) -> LogRecord:
    """A log record about `span`, `at` nanoseconds after noon."""
    return LogRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        time_ns=NOON_NS + at,
        observed_ns=0,
        severity_number=9,
        severity_text="",
        event_name=name,
        body=body,
        attributes=attributes or {},
        flags=0,
        dropped_attributes_count=0,
        resource=BOOKING,
        scope=AGENTS,
    )


def asked(span: Span, text: str, at: int = 0) -> LogRecord:
    return about(span, "gen_ai.user.message", {"content": text}, at=at)


def score(span: Span, name: str, value: float = 1.0) -> LogRecord:
    members: Attributes = {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": value}
    return about(span, EVALUATION, None, members)


def batch(items: Iterable[Span | LogRecord], arrival_ns: int = NOON_NS, first: int = 0) -> Batch:
    builder = RowBuilder()
    for position, item in enumerate(items, first):
        if isinstance(item, Span):
            builder.add_span(item, arrival_ns, position)
        else:
            builder.add_log_record(item, arrival_ns, position)
    return builder.batch()


def cells(view: View) -> dict[tuple[str, str], dict[str, object]]:
    columns = ", ".join(FACT_COLUMNS)
    rows = view.con.execute(f"SELECT trace_id, span_id, {columns} FROM spans").fetchall()
    return {row[:2]: dict(zip(FACT_COLUMNS, row[2:], strict=True)) for row in rows}


def facts(*items: Span | LogRecord, of: Span) -> dict[str, object]:
    """The joined facts of one of the spans."""
    with SingleWindow() as window:
        window.insert(batch(items))
        with window.view() as view:
            view.join_logs()
            return cells(view)[of.trace_id, of.span_id]


def events(record: LogRecord) -> tuple[SpanEvent, ...]:
    name = event_name(record)
    assert name is not None
    return span_events(name, record.time_ns, record.attributes, record.body)


TOLD: Sequence[tuple[str, AnyValue, Attributes]] = (
    ("gen_ai.system.message", {"content": LONG}, {}),
    ("gen_ai.user.message", {"content": "Is it warm?"}, {}),
    ("gen_ai.user.message", {"content": LONG}, {"gen_ai.system": "openai"}),
    ("gen_ai.user.message", {"content": "[REDACTED]"}, {}),
    ("gen_ai.choice", {"finish_reason": "stop", "message": {"content": LONG + "!"}}, {}),
    ("gen_ai.choice", {"index": 1, "finish_reason": "length"}, {}),
    (DETAILS, None, {"gen_ai.input.messages": [{"role": "user", "content": "Hot?"}]}),
    (
        "a.scope",
        {"output": {"messages": [{"role": "assistant", "content": {"message": "No."}}]}},
        {},
    ),
    (EVALUATION, None, {"gen_ai.evaluation.name": "Tone", "gen_ai.evaluation.score.value": 0.5}),
    (EVALUATION, None, {"gen_ai.evaluation.name": "Fit", "gen_ai.evaluation.score.label": "no"}),
)
SPANS: Sequence[Span] = (
    a_chat(1, parent_span_id=""),
    a_chat(2, parent_span_id=SpanId(f"{1:016x}")),
    a_span(3, attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}),
    a_chat(1, 2, attributes={**CHAT, "input.value": "said", "openinference.span.kind": "LLM"}),
    a_span(2, 2, attributes={"http.route": "/"}, events=(SpanEvent(name="x", time_ns=1),)),
)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_split_over_requests_and_windows_gives_what_events_give(data: st.DataObject) -> None:
    owners = st.tuples(st.sampled_from(SPANS), st.sampled_from(TOLD))
    told = [
        about(span, *record, at=at)
        for at, (span, record) in enumerate(data.draw(st.lists(owners, max_size=12)))
    ]
    whole = [
        replace(
            span,
            events=tuple(
                e
                for r in told
                if r.span_id == span.span_id and r.trace_id == span.trace_id
                for e in events(r)
            )
            + span.events,
        )
        for span in SPANS
    ]
    items: list[Span | LogRecord] = data.draw(st.permutations([*SPANS, *told]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), min_size=2, max_size=2)))
    parts = [items[: cuts[0]], items[cuts[0] : cuts[1]], items[cuts[1] :]]
    with SingleWindow() as window:
        window.insert(batch(whole))
        with window.view() as view:
            expected = cells(view)
    with TemporaryDirectory() as directory:
        store = WindowStore(Path(directory), sections.Window(), Counters())
        store.open()
        for number, part in enumerate(parts):
            start_ns = NOON_NS + number * LENGTH_NS
            store.insert(start_ns, batch(part, start_ns, number * 100), number + 1)
        with store.view(0) as view:
            view.join_logs()
            assert cells(view) == expected
        store.close()


def test_an_evaluation_without_a_span_is_about_the_run() -> None:
    root, child = a_chat(1), a_chat(2, parent_span_id=SpanId(f"{1:016x}"), start_ns=NOON_NS - 9)
    record = replace(score(root, "Tone"), span_id=SpanId(""))
    both = score(root, "Fit")
    for span in (root, child):
        known = facts(record, child, both, root, of=span)["evaluations"]
        assert (known is not None) == (span is root)
        if span is root:
            assert "Tone" in str(known)
            assert "Fit" in str(known)


def test_of_several_roots_the_earliest_is_the_run() -> None:
    late, early = a_chat(1, start_ns=9), a_chat(2, start_ns=5)
    orphan = a_chat(3, start_ns=1, parent_span_id=SpanId("f" * 16))
    record = replace(score(late, "Tone"), span_id=SpanId(""))
    assert facts(late, early, orphan, record, of=early)["evaluations"] is not None
    assert facts(late, early, orphan, record, of=orphan)["evaluations"] is None
    assert facts(orphan, record, of=orphan)["evaluations"] is not None


def test_a_message_without_a_span_is_left() -> None:
    span = a_chat()
    record = replace(asked(span, "Warm?"), span_id=SpanId(""))
    assert facts(span, record, of=span)["input_text"] is None


def test_what_the_span_says_itself_is_believed_first() -> None:
    stated = a_chat(attributes={**CHAT, "gen_ai.input.messages": "Is it warm in Tokyo?"})
    own = a_chat(events=events(asked(stated, "Is it warm in Tokyo?")))
    for span in (stated, own):
        for less in ("Is it", "", "[REDACTED]"):
            known = facts(span, asked(span, less, at=9), of=span)
            assert known["input_text"] == "Is it warm in Tokyo?"


def test_what_both_tell_or_is_sent_twice_counts_once() -> None:
    record = score(a_chat(), "Tone")
    span = a_chat(events=events(record))
    once = facts(span, of=span)["evaluations"]
    assert once is not None
    assert facts(span, record, record, of=span)["evaluations"] == once


def test_only_the_asked_traces_are_joined_and_none_twice(store: WindowStore) -> None:
    first, second = a_chat(1, 1), a_chat(1, 2)
    items: list[Span | LogRecord] = [first, second]
    items += [asked(first, "One?"), asked(second, "Two?"), score(second, "Tone")]
    store.insert(NOON_NS, batch(items), 1)

    def inputs(view: View) -> list[object]:
        return [row["input_text"] for _, row in sorted(cells(view).items())]

    with store.view(0) as view:
        view.join_logs([])
        assert inputs(view) == [None, None]
        view.join_logs([second.trace_id, "0" * 32])
        assert inputs(view) == [None, "Two?"]
        view.join_logs([first.trace_id, second.trace_id])
        view.join_logs()
        assert inputs(view) == ["One?", "Two?"]
        assert view.con.execute("SELECT count(*) FROM joined_facts").fetchall() == [(2,)]
        assert view.trace_spans(first.trace_id) == [first]
    with store.view(0) as view:
        assert inputs(view) == [None, None]


def test_a_span_sent_twice_is_joined_once(store: WindowStore) -> None:
    store.insert(NOON_NS, batch([a_chat(), asked(a_chat(), "Warm?")]), 1)
    later = a_chat(end_ns=NOON_NS + 99, attributes={**CHAT, "gen_ai.response.model": "small"})
    store.insert(NOON_NS + LENGTH_NS, a_batch(later, position=9), 2)
    with store.view(0) as view:
        view.join_logs()
        (known,) = cells(view).values()
    assert (known["input_text"], known["model_served"]) == ("Warm?", "small")


def test_a_price_from_the_table_stays() -> None:
    span = a_chat()
    rows = batch([span, asked(span, "Warm?")])
    rows.spans["cost"] = [0.25]
    rows.spans["fact_sources"] = ['{"kind":"x","cost":"prices:2026-01"}']
    with SingleWindow() as window:
        window.insert(rows)
        with window.view() as view:
            view.join_logs()
            (known,) = cells(view).values()
    assert known["cost"] == 0.25
    assert '"cost":"prices:2026-01"' in str(known["fact_sources"])
    assert '"input_text":"event:gen_ai.user.message"' in str(known["fact_sources"])


def test_texts_that_log_records_bring_are_found_by_id() -> None:
    span = a_chat()
    record = about(span, "gen_ai.system.message", {"content": LONG})
    with SingleWindow() as window:
        window.insert(batch([span, record]))
        with window.view() as view:
            view.join_logs()
            query = "SELECT text FROM spans JOIN texts ON text_id = system_instructions"
            assert view.con.execute(query).fetchall() == [(LONG,)]


def test_more_records_than_are_read_at_once() -> None:
    spans = [a_chat(number) for number in range(1, 61)]
    each = joined.CHUNK_EVENTS // 40
    told = [asked(span, f"{span.name} {at}", at) for span in spans for at in range(each)]
    told += [asked(spans[0], f"last {at}", each + at) for at in range(joined.CHUNK_EVENTS)]
    with SingleWindow() as window:
        window.insert(batch([*told, *spans]))
        with window.view() as view:
            view.join_logs()
            known = {span_id: row["input_text"] for (_, span_id), row in cells(view).items()}
    assert known[spans[0].span_id] == f"last {joined.CHUNK_EVENTS - 1}"
    assert [known[span.span_id] for span in spans[1:]] == [
        f"{span.name} {each - 1}" for span in spans[1:]
    ]


def test_records_without_a_span_in_sight(store: WindowStore) -> None:
    span, lost = a_chat(), a_chat(7, 7)
    store.insert(NOON_NS, batch([span, asked(lost, "x"), score(lost, "y")]), 1)
    with store.view(0) as view:
        view.join_logs()
        assert list(cells(view)) == [(span.trace_id, span.span_id)]
        assert [arrival.trace_id for arrival in view.traces_last_arrival()] == [span.trace_id]


def test_joined_records_count_as_arrivals_and_others_do_not(store: WindowStore) -> None:
    span = a_chat()
    plain = about(span, "http.request")
    nowhere = replace(asked(span, "x"), span_id=SpanId(""))
    store.insert(NOON_NS, batch([span], NOON_NS + 1), 1)
    for number, record in enumerate((plain, nowhere, asked(span, "x")), 2):
        store.insert(NOON_NS, batch([record], NOON_NS + number, number), number)
        with store.view(0) as view:
            (arrival,) = view.traces_last_arrival()
        assert arrival.last_arrival_ns == NOON_NS + (number if number == 4 else 1)
        assert (arrival.spans, arrival.agent_spans) == (1, 1)
