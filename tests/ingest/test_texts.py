"""Long texts are stored once, and come back to the character."""

import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.ingest.rows import RowBuilder
from halo_otel.ingest.texts import TEXT_CHARS_MIN, Texts, cut
from halo_otel.model.span import (
    AnyValue,
    LogRecord,
    Resource,
    Scope,
    SpanEvent,
    SpanId,
    TraceId,
)
from halo_otel.otlp.anyvalue import to_json
from halo_otel.window.single import SingleWindow
from halo_otel.window.texts import text_id, whole
from halo_otel.window.view import View
from tests.window.samples import a_batch, a_span

ANY_ID = "0123456789abcdef" * 2
LONG = "x" * TEXT_CHARS_MIN

# What a text may be mistaken for: seams, references, halves of surrogate pairs, all kinds of encoding.
morsels = st.sampled_from(
    [
        "},{" + '"role"',
        '}, {"role": "user"',
        "},{'role'",
        '},{\\"role\\"',
        "},\n  {\n    " + '"a"',
        '{"$texts":["' + ANY_ID + '",""]}',
        '","rest"]}',
        '"',
        "\\",
        "[",
        "]}",
        "\u0000",
        "é😀",
        LONG,
        "y" * (TEXT_CHARS_MIN - 1),
    ]
)
long_texts = st.lists(morsels | st.text(st.characters(exclude_categories=["Cs"])), max_size=8).map(
    "".join
)
keys = st.sampled_from(["$texts", "$$texts", "$bytes", "$double", "input.value", "messages"])
values = st.recursive(
    long_texts | st.none() | st.integers(-9, 9) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
soups = st.dictionaries(keys | long_texts, values, max_size=3)


@settings(max_examples=60, deadline=None)
@given(soups, soups)
def test_whatever_the_attributes_are_they_come_back_equal(
    attributes: dict[str, AnyValue], of_event: dict[str, AnyValue]
) -> None:
    event = SpanEvent(name="told", time_ns=1, attributes=of_event)
    with SingleWindow() as window:
        window.insert(a_batch(a_span(1, attributes=attributes, events=(event,))))
        with window.view() as view:
            (stored,) = view.trace_spans(a_span(1).trace_id)
            assert repr((stored.attributes, stored.events)) == repr((attributes, (event,)))


@given(long_texts)
def test_the_pieces_one_after_another_are_the_text(text: str) -> None:
    pieces, rest = cut(text)
    assert "".join([*pieces, rest]) == text
    assert all(len(piece) >= TEXT_CHARS_MIN for piece in pieces)
    assert len(rest) < TEXT_CHARS_MIN


def dumped(messages: Sequence[object], notation: str) -> str:
    """A list of messages in one of the notations they are recorded in."""
    if notation == "python":
        return repr(messages)
    if notation == "indented":
        return json.dumps(messages, indent=2)
    compact = json.dumps(messages, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(compact) if notation == "encoded" else compact


notations = st.sampled_from(["compact", "python", "indented", "encoded"])
said = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@given(st.lists(said, min_size=2, max_size=6), notations)
def test_a_turn_has_the_pieces_of_the_turn_before_it(texts: list[str], notation: str) -> None:
    messages = [{"role": "user", "content": text + LONG} for text in texts]
    before, _ = cut(dumped(messages[:-1], notation))
    now, _ = cut(dumped(messages, notation))
    assert now[: len(before)] == before
    assert len(now) == len(messages)


def test_a_conversation_sent_again_each_turn_costs_its_new_part_only() -> None:
    turns = 40
    messages = [{"role": "user", "content": f"{turn} {LONG}"} for turn in range(turns)]
    sent = [json.dumps(messages[: turn + 1]) for turn in range(turns)]
    spans = [
        a_span(turn + 1, attributes={"gen_ai.input.messages": text})
        for turn, text in enumerate(sent)
    ]
    with SingleWindow() as window:
        for span in spans:
            window.insert(a_batch(span))
        with window.view() as view:
            chars = view.con.execute("FROM all_texts SELECT sum(chars)").fetchall()[0][0]
            assert len(sent[-1]) - 2 <= chars <= len(sent[-1])
            stored = view.trace_spans(spans[0].trace_id)
            assert {span.attributes["gen_ai.input.messages"] for span in stored} == set(sent)
            assert new_chars(view) == [len(json.dumps(message)) + 2 for message in messages][1:]


def new_chars(view: View) -> list[int]:
    """How much each span of the run says that no span before it said, the first left out."""
    rows = view.con.execute(
        "SELECT sum(chars) FROM pieces JOIN texts USING (text_id)"
        " GROUP BY span_id, text_id QUALIFY span_id = min(span_id) OVER (PARTITION BY text_id)"
        " ORDER BY span_id OFFSET 1"
    ).fetchall()
    return [chars for (chars,) in rows]


def test_one_text_under_two_keys_and_in_two_spans_is_one_row() -> None:
    flat = {f"llm.input_messages.{n}.message.content": LONG for n in range(3)}
    other = a_span(2, attributes={"output.value": LONG})
    with SingleWindow() as window:
        window.insert(a_batch(a_span(1, attributes=flat)))
        window.insert(a_batch(other))
        with window.view() as view:
            assert view.con.execute("FROM all_texts SELECT text").fetchall() == [(LONG,)]


def test_instructions_and_tools_are_found_whole_by_their_id() -> None:
    instructions, tools = "Be kind. " * 4000, json.dumps([{"name": "search", "about": LONG}])
    attributes: dict[str, AnyValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system_instructions": instructions,
        "gen_ai.tool.definitions": tools,
    }
    spans = [a_span(number, attributes=attributes) for number in (1, 2)]
    with SingleWindow() as window:
        window.insert(a_batch(*spans))
        with window.view() as view:
            rows = view.con.execute(
                "SELECT DISTINCT a.text, b.text FROM spans"
                " JOIN texts a ON a.text_id = system_instructions"
                " JOIN texts b ON b.text_id = tool_definitions"
            ).fetchall()
            assert rows == [(instructions, tools)]


@settings(max_examples=30, deadline=None)
@given(soups, values)
def test_a_log_records_texts_come_back_too(attributes: dict[str, AnyValue], body: AnyValue) -> None:
    builder = RowBuilder()
    builder.add_log_record(a_record(attributes, body), 0, 0)
    with SingleWindow() as window:
        window.insert(builder.batch())
        with window.view() as view:
            rows = view.con.execute("FROM log_records SELECT attributes, body").fetchall()
            assert whole(view.con, rows, (0, 1)) == [(to_json(attributes), to_json(body))]


def test_half_a_surrogate_pair_costs_its_character_alone() -> None:
    texts = Texts()
    kept = to_json(texts.attributes({"text": LONG + "\ud83d", "other": LONG}))
    assert kept.count(text_id(LONG).hex()) == 1
    with SingleWindow() as window:
        window.insert(a_batch(a_span(1, attributes={"text": LONG + "\ud83d"})))
        with window.view() as view:
            (span,) = view.trace_spans(a_span(1).trace_id)
            assert span.attributes == {"text": LONG + "\ufffd"}


def test_nothing_is_gathered_twice() -> None:
    texts = Texts()
    texts.keep("one")
    assert texts.columns()["text"] == ["one"]
    assert texts.columns()["text"] == []


def a_record(attributes: dict[str, AnyValue], body: AnyValue) -> LogRecord:
    return LogRecord(
        trace_id=TraceId(ANY_ID),
        span_id=SpanId(ANY_ID[:16]),
        time_ns=1,
        observed_ns=1,
        severity_number=9,
        severity_text="INFO",
        event_name="",
        body=body,
        attributes=attributes,
        flags=0,
        dropped_attributes_count=0,
        resource=Resource(),
        scope=Scope(),
    )
