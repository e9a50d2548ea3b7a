"""The bundled real traces: small, whole, licensed, and moved in time without being bent."""

from collections import Counter
from importlib.resources import files

import pytest

from halo_otel.clock import NS_PER_S
from halo_otel.demo import bundled
from halo_otel.model.span import STATUS_ERROR

START_NS = 1_790_000_000 * NS_PER_S


def test_they_are_small_and_say_where_they_come_from() -> None:
    folder = files("halo_otel.demo").joinpath("traces")
    sizes = [len(folder.joinpath(f"{name}.jsonl.gz").read_bytes()) for name in bundled.NAMES]
    assert sum(sizes) <= 300_000
    sources = folder.joinpath("LICENSES.md").read_text(encoding="utf-8")
    for name in bundled.NAMES:
        assert f"{name}.jsonl.gz" in sources
        licence = folder.joinpath(f"LICENSE.{name}.txt").read_text(encoding="utf-8")
        assert licence.startswith("MIT License")
        assert "Copyright (c)" in licence


@pytest.mark.parametrize("name", bundled.NAMES)
def test_every_line_is_one_whole_trace(name: str) -> None:
    for run in bundled.traces(name):
        ids = {span.span_id for span in run}
        assert len({span.trace_id for span in run}) == 1
        assert len(ids) == len(run)
        assert sum(not span.parent_span_id for span in run) == 1
        assert all(span.parent_span_id in ids for span in run if span.parent_span_id)


def test_their_known_faults_are_in_the_excerpt() -> None:
    sql = [span for run in bundled.traces("intercode-sql") for span in run]
    assert sum(span.status_code == STATUS_ERROR for span in sql) > 300
    calls = Counter(
        (span.trace_id, span.attributes["input.value"])
        for span in sql
        if span.attributes.get("tool.name") == "execute_sql"
    )
    assert len({trace for (trace, _), count in calls.items() if count >= 3}) > 30
    airline = [span for run in bundled.traces("tau-airline") for span in run]
    results = [str(span.attributes.get("gen_ai.tool.call.result", "")) for span in airline]
    assert sum(result.startswith("Error") for result in results) >= 9


@pytest.mark.parametrize("name", bundled.NAMES)
def test_a_replay_moves_traces_as_a_whole(name: str) -> None:
    duration_ns = 60 * NS_PER_S
    moved = bundled.replayed(name, start_ns=START_NS, duration_ns=duration_ns)
    before = {span.span_id: span for run in bundled.traces(name) for span in run}
    assert len(moved) == len(before)
    assert [span.end_ns for span in moved] == sorted(span.end_ns for span in moved)
    shifts = {(span.trace_id, span.start_ns - before[span.span_id].start_ns) for span in moved}
    assert len(shifts) == len({span.trace_id for span in moved})
    for span in moved:
        was = before[span.span_id]
        assert span.end_ns - span.start_ns == was.end_ns - was.start_ns
        assert span.attributes == was.attributes
    roots = [span for span in moved if not span.parent_span_id]
    assert all(START_NS <= root.start_ns < START_NS + duration_ns for root in roots)
