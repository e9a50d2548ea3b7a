"""The traces of a real window, one line each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halo_otel.clock import NS_PER_S
from halo_otel.config.sections import Window
from halo_otel.control.sources import TraceSummary
from halo_otel.control.traces import of_window
from halo_otel.errors import NotFound
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import Resource, Scope, Span
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore

START_NS = 1_700_000_100 * NS_PER_S
TRAVEL = Resource(attributes={"service.name": "travel"})


def span(trace: str, number: int, parent: int = 0, **changes: Any) -> Span:
    fields: dict[str, Any] = {
        "trace_id": trace * 32,
        "span_id": f"{number:016x}",
        "parent_span_id": f"{parent:016x}" if parent else "",
        "name": f"span {number}",
        "kind": 1,
        "start_ns": START_NS + number,
        "end_ns": START_NS + number + 5,
        "attributes": {},
        "events": (),
        "links": (),
        "status_code": 0,
        "status_message": "",
        "trace_state": "",
        "flags": 0,
        "dropped_attributes_count": 0,
        "dropped_events_count": 0,
        "dropped_links_count": 0,
        "resource": TRAVEL,
        "scope": Scope(),
    }
    return Span(**{**fields, **changes})


def model_call(operation: str, **tokens: int) -> dict[str, Any]:
    counts = {f"gen_ai.usage.{key}": value for key, value in tokens.items()}
    return {"gen_ai.operation.name": operation, "gen_ai.agent.name": "booking", **counts}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WindowStore]:
    """Two traces: one whole with tokens and an error, one without its root; one span twice."""
    store = WindowStore(tmp_path, Window(), Counters())
    store.open()
    spans = [
        span("a", 2, 1, attributes=model_call("chat", input_tokens=100, output_tokens=20)),
        span("a", 3, 1, status_code=2, status_message="boom"),
        span("a", 1, start_ns=START_NS + 1, end_ns=START_NS + 50),
        span("b", 9, 8),
    ]
    builder = RowBuilder()
    for position, one in enumerate(spans):
        builder.add_span(one, START_NS, position)
    store.insert(store.start_of(START_NS), builder.batch(), 1000)
    builder.add_span(spans[1], START_NS, 1000)
    store.insert(store.start_of(START_NS), builder.batch(), 2000)
    yield store
    store.close()


def test_the_newest_come_first_and_a_repeated_span_counts_once(store: WindowStore) -> None:
    start_ns = store.windows()[0].start_ns
    incomplete, whole = of_window(store, start_ns, 10)
    assert whole == TraceSummary(
        trace_id=whole.trace_id,
        service="travel",
        name="span 1",
        agent="booking",
        start_ns=START_NS + 1,
        end_ns=START_NS + 50,
        spans=3,
        failed_spans=1,
        tokens=120,
    )
    assert whole.trace_id == "a" * 32
    assert (incomplete.name, incomplete.spans, incomplete.tokens) == ("span 9", 1, None)
    assert of_window(store, start_ns, 1) == [incomplete]


def test_no_such_window(store: WindowStore) -> None:
    with pytest.raises(NotFound, match="halo-otel windows"):
        of_window(store, 0, 10)
