"""Alpha's windows are the same every time, well formed, and as true as they say."""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache

import pytest

from halo_otel.agentspan.normalise import normalise
from halo_otel.model.facts import SpanKind
from halo_otel.model.finding import CATEGORIES
from tests.eval.alpha.applications import REPORTING, TUNING
from tests.eval.alpha.windows import clean, faulty
from tests.eval.alpha.writing import DIALECTS
from tests.eval.scenario import FAULTS, Window

_NAMES = [one.name for one in FAULTS]
_SEEDS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Of many clean windows what the tests look at: all spans of them would take much memory."""

    by_seed: list[Window]  # without their spans
    by_dialect: dict[str, Window]  # the first one of each


@cache
def many() -> Kept:
    kept = Kept(by_seed=[], by_dialect={})
    for window in map(clean, range(_SEEDS)):
        kept.by_seed.append(replace(window, spans=()))
        kept.by_dialect.setdefault(window.dialect, window)
    return kept


@pytest.mark.parametrize("fault", _NAMES)
def test_a_fault_is_told_with_its_traces_and_its_spans(fault: str) -> None:
    window = faulty(4, fault)
    (planted,) = window.planted
    spans = {(span.trace_id, span.span_id) for span in window.spans}
    traces = {span.trace_id for span in window.spans}
    assert planted.category in CATEGORIES
    assert len(planted.causes) >= 7
    assert set(planted.causes) < traces  # never all of them
    assert all((trace, span) in spans for trace, some in planted.causes.items() for span in some)
    assert window.failed <= traces
    assert planted.tool is None or any(
        normalise(span).tool_name == planted.tool for span in window.spans
    )


@pytest.mark.parametrize("fault", [None, "loop_exact", "waiting"])
def test_a_seed_gives_the_same_window(fault: str | None) -> None:
    def made() -> Window:
        return clean(3) if fault is None else faulty(3, fault)

    assert made() == made()
    assert made().spans != (clean(5) if fault is None else faulty(5, fault)).spans


def test_tuning_and_reporting_tell_of_different_applications() -> None:
    tuning = {one.application for one in many().by_seed[::2]}
    reporting = {one.application for one in many().by_seed[1::2]}
    assert tuning <= {one.name for one in TUNING}
    assert reporting == {one.name for one in REPORTING}
    assert not tuning & reporting


def test_clean_windows_have_several_look_alikes_and_all_dialects() -> None:
    windows = many().by_seed
    assert {one.dialect for one in windows} == set(DIALECTS)
    assert all(len(one.lures) >= 3 and not one.planted for one in windows)


def test_spans_are_well_formed_and_in_the_order_of_their_ends() -> None:
    window = clean(8)
    ends = [span.end_ns for span in window.spans]
    assert ends == sorted(ends)
    by_trace = defaultdict(list)
    for span in window.spans:
        by_trace[span.trace_id].append(span)
        assert span.start_ns <= span.end_ns
    assert 80 <= len(by_trace) <= 400
    for spans in by_trace.values():
        ids = {span.span_id for span in spans}
        assert len(ids) == len(spans)
        assert [span.parent_span_id for span in spans if span.parent_span_id not in ids] == [""]


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_dialect_tells_turns_and_calls(dialect: str) -> None:
    window = many().by_dialect[dialect]
    assert window.application
    facts = [normalise(span) for span in window.spans]
    turns = [one for one in facts if one.kind is SpanKind.LLM]
    calls = [one for one in facts if one.kind is SpanKind.TOOL]
    assert turns
    assert all(one.model_requested for one in turns)
    assert calls
    assert all(one.tool_name for one in calls)
    assert sum(one.tool_arguments is not None for one in calls) > 0.6 * len(calls)
    assert sum(one.input_text is not None for one in turns) > 0.6 * len(turns)
    assert sum(one.input_tokens is not None for one in turns) > 0.9 * len(turns)
