"""Texts in a window: once as far as is remembered, found again, and copied only where needed."""

import json
from pathlib import Path

import pytest

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.errors import StateDamaged
from halo_otel.selfobs import Counters
from halo_otel.window.single import SingleWindow
from halo_otel.window.store import WindowStore
from halo_otel.window.tables import RecentIds
from halo_otel.window.texts import referenced, text_id
from tests.window.samples import NOON_NS, a_batch, a_span

LONG = "Find a flight to Lisbon. " * 50
OTHER = "Cancel the booking. " * 50


def test_ids_are_remembered_until_as_many_others_were_seen() -> None:
    known = RecentIds(limit=3)
    known.update([1, 2, 3])
    known.update([4, 1])
    assert all(number in known for number in (1, 2, 3, 4))
    known.update([5, 6])
    assert all(number in known for number in (1, 4, 5, 6))
    assert 2 not in known


def test_each_window_has_its_texts_itself_and_a_view_has_each_once(tmp_path: Path) -> None:
    store = WindowStore(tmp_path, sections.Window(), Counters())
    store.open()
    for number, start_ns in enumerate((NOON_NS, NOON_NS + 300 * NS_PER_S), 1):
        start_ns = store.start_of(start_ns)
        store.insert(start_ns, a_batch(a_span(number, attributes={"said": LONG})), number)
    with store.view(0) as view:
        assert view.con.execute("FROM all_texts SELECT count(*)").fetchall() == [(2,)]
        assert view.con.execute("FROM texts SELECT chars, text").fetchall() == [(len(LONG), LONG)]
    with store.view(NOON_NS + 300 * NS_PER_S) as view:
        (span,) = view.trace_spans(a_span(2).trace_id)
        assert span.attributes == {"said": LONG}
    store.close()


def test_after_a_restart_texts_are_stored_again_and_shown_once(tmp_path: Path) -> None:
    for number in (1, 2):
        store = WindowStore(tmp_path, sections.Window(), Counters())
        store.open()
        store.insert(NOON_NS, a_batch(a_span(number, attributes={"said": LONG})), number)
        store.close()
    store = WindowStore(tmp_path, sections.Window(), Counters())
    store.open()
    with store.view(0) as view:
        assert [span.attributes["said"] for span in view.trace_spans(a_span(1).trace_id)] == [
            LONG
        ] * 2
        assert view.con.execute("FROM texts SELECT text").fetchall() == [(LONG,)]
    store.close()


def test_what_rows_refer_to_is_told_from_the_rest() -> None:
    forged = {"$texts": ["0123", ""], "other": 1}
    span = a_span(
        1,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.tool.definitions": json.dumps([{"name": OTHER}]),
            "forged": forged,
        },
    )
    with SingleWindow() as window:
        window.insert(a_batch(span, a_span(2, attributes={"said": LONG})))
        with window.view() as view:
            everything = {
                row[0] for row in view.con.execute("FROM texts SELECT text_id").fetchall()
            }
            database = "window_single"
            assert ids(view.con.execute(referenced(database)).fetchall()) == everything
            assert text_id(LONG).hex() in {id_.hex for id_ in everything}
            view.con.execute(f"DELETE FROM {database}.spans WHERE span_id = ?", [a_span(2).span_id])
            left = ids(view.con.execute(referenced(database)).fetchall())
            assert {id_.hex for id_ in everything - left} == {text_id(LONG).hex()}


def ids(rows: list[tuple[object]]) -> set[object]:
    return {id_ for (id_,) in rows}


def test_a_text_that_is_gone_is_named(tmp_path: Path) -> None:
    with SingleWindow() as window:
        window.insert(a_batch(a_span(1, attributes={"said": LONG})))
        with window.view() as view:
            view.con.execute("DELETE FROM window_single.texts")
            with pytest.raises(StateDamaged, match=text_id(LONG).hex()):
                view.trace_spans(a_span(1).trace_id)
