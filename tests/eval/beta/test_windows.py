"""The second generator keeps its word: same seed same window, the truth points at spans, and every
dialect carries the facts that were played.
"""

import json
import random
from dataclasses import replace
from functools import cache

import pytest

from halo_otel.agentspan.logevents import event_name, span_events
from halo_otel.agentspan.normalise import normalise
from halo_otel.model.facts import AgentFacts, SpanKind
from halo_otel.model.span import LogRecord, Span
from tests.eval.beta.cast import Cast
from tests.eval.beta.run import Run, Setting, Step
from tests.eval.beta.windows import PAIRS, REPORTING, TUNING, WRITERS, clean, faulty
from tests.eval.beta.writers.written import Show, Style, spans
from tests.eval.scenario import FAULTS, Window

_KINDS = {
    "agent": SpanKind.AGENT,
    "model": SpanKind.LLM,
    "tool": SpanKind.TOOL,
    "inner": SpanKind.OTHER,
}


def played(cast: Cast, loud: bool) -> Run:
    setting = Setting(
        trace_id="1" * 32,
        version="1",
        model=cast.models[0],
        region="r",
        session="s-1",
        user="u1",
        loud=loud,
    )
    run = Run(cast, setting, random.Random(7), random.Random(8))
    run.mishaps = False
    run.acts["worker"] += [
        PAIRS["tool_error"].lure.worker,
        PAIRS["serial_calls"].fault.worker,
        PAIRS["wrong_type"].fault.worker,
    ]
    run.acts["team"].append(PAIRS["duplicate_work"].fault.team)
    cast.play(run)
    return run


def with_events(span: Span, records: list[LogRecord]) -> Span:
    events = [
        event
        for record in records
        if record.span_id == span.span_id and (name := event_name(record))
        for event in span_events(name, record.time_ns, record.attributes, record.body)
    ]
    return replace(span, events=(*span.events, *events))


def of_tool(step: Step, facts: AgentFacts) -> None:
    assert step.call is not None
    assert facts.tool_name == step.call.tool
    assert json.loads(facts.tool_arguments or "") == step.call.arguments
    if step.error:
        assert facts.failed
        assert step.in_words or facts.error_type == step.error[0]
        assert step.error[1] in (facts.error_message or "")
    else:
        assert not facts.failed
        assert facts.tool_result == step.result


def of_model(step: Step, facts: AgentFacts, dialect: str, offered: set[str]) -> None:
    assert facts.model_requested == step.name
    assert (facts.input_tokens, facts.output_tokens) == (step.input_tokens, step.output_tokens)
    assert facts.input_text
    if step.says:
        assert facts.output_text == step.says
    else:
        assert facts.output_text
        assert step.calls[0].tool in facts.output_text
    if dialect != "langfuse":
        assert facts.finish_reason == step.finish.replace("tool_calls", "tool_call")
    names = {tool["name"] for tool in json.loads(facts.tool_definitions or "[]")}
    assert names >= offered


@pytest.mark.parametrize("loud", [True, False])
@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize("dialect", sorted(WRITERS))
@pytest.mark.parametrize("cast", [*TUNING, *REPORTING], ids=lambda cast: cast.application)
def test_dialects_carry_what_was_played(cast: Cast, dialect: str, newer: bool, loud: bool) -> None:
    run = played(cast, loud)
    style = Style(defines_tools=True, evaluates=False, newer=newer, ok_status=False)
    made, records = spans(Show(cast=cast, run=run, style=style), WRITERS[dialect])
    seen: set[str] = set()
    for step, span in zip(run.steps, made, strict=True):
        facts = normalise(with_events(span, records))
        seen.add(step.kind)
        assert facts.kind is _KINDS.get(step.kind, facts.kind), step
        if step.kind == "agent":
            assert facts.agent_name == step.name
        if step.kind in {"agent", "model"}:
            assert facts.session_id == "s-1"
        if step.kind == "tool":
            of_tool(step, facts)
        if step.kind == "model" and not step.error:
            unsaid = dialect == "gen_ai_logs" and not newer  # the older events know no definitions
            of_model(step, facts, dialect, set() if unsaid else set(cast.agent(step.agent).tools))
    assert {"agent", "model", "tool"} <= seen


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
def test_the_truth_points_at_spans(fault: str, seed: int) -> None:
    window = faulty(seed, fault)
    traces: dict[str, set[str]] = {}
    for span in window.spans:
        assert span.start_ns < span.end_ns
        traces.setdefault(span.trace_id, set()).add(span.span_id)
    (planted,) = window.planted
    assert planted.fault == fault
    assert len(planted.causes) >= 8
    for trace, causes in planted.causes.items():
        assert causes
        assert traces[trace].issuperset(causes)
    assert window.failed <= traces.keys()
    services = {span.resource.attributes["service.name"] for span in window.spans}
    assert planted.service in services


def test_the_same_seed_gives_the_same_window() -> None:
    assert faulty(4, "loop_exact") == faulty(4, "loop_exact")
    assert clean(5) == clean(5)
    assert clean(5) != clean(7)


@cache
def told(seed: int) -> tuple[Window, int]:
    """A clean window without its telemetry, which would take much memory, and how many runs it holds."""
    window = clean(seed)
    traces = {span.trace_id for span in window.spans}
    return replace(window, spans=(), log_records=()), len(traces)


def test_clean_windows_hold_look_alikes_only() -> None:
    lures: set[str] = set()
    for seed in range(12):
        window, runs = told(seed)
        assert not window.planted
        assert len(window.failed) <= 0.1 * runs
        lures.update(window.lures)
    assert len(lures) > len(FAULTS) / 2


def test_every_fault_has_its_pair_and_every_seed_its_application() -> None:
    assert set(PAIRS) == {fault.name for fault in FAULTS}
    tuning = {told(seed)[0].application for seed in range(0, 24, 2)}
    reporting = {told(seed)[0].application for seed in range(1, 8, 2)}
    assert tuning == {cast.application for cast in TUNING}
    assert reporting == {cast.application for cast in REPORTING}
