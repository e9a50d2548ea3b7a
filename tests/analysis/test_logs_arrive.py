"""What log records tell is judged, also when it comes after the judgement."""

import json
from pathlib import Path
from typing import Any

import pytest

from halo_otel.analysis.goals.tree import goal_tree
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import Run, extend
from halo_otel.config import sections
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import LogRecord, Resource, Scope, Span, SpanId, TraceId
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore

NOON_NS = 1_795_262_400 * 10**9
MINUTE_NS = 60 * 10**9
TRACE = TraceId("a" * 32)
NOWHERE = Resource(), Scope()


def a_span(number: int, parent: int, attributes: dict[str, Any]) -> Span:
    return Span(
        trace_id=TRACE,
        span_id=SpanId(f"{number:016x}"),
        parent_span_id=SpanId(f"{parent:016x}" if parent else ""),
        name="step",
        kind=1,
        start_ns=NOON_NS + number,
        end_ns=NOON_NS + number + 1,
        attributes=attributes,
        events=(),
        links=(),
        status_code=0,
        status_message="",
        trace_state="",
        flags=0,
        dropped_attributes_count=0,
        dropped_events_count=0,
        dropped_links_count=0,
        resource=NOWHERE[0],
        scope=NOWHERE[1],
    )


def a_record(span: int, name: str, body: Any = None, **attributes: Any) -> LogRecord:
    return LogRecord(
        trace_id=TRACE,
        span_id=SpanId(f"{span:016x}" if span else ""),
        time_ns=NOON_NS,
        observed_ns=0,
        severity_number=9,
        severity_text="",
        event_name=name,
        body=body,
        attributes=attributes,
        flags=0,
        dropped_attributes_count=0,
        resource=NOWHERE[0],
        scope=NOWHERE[1],
    )


RUN = [a_span(1, 0, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "booker"})] + [
    a_span(number, 1, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"})
    for number in range(2, 8)
]
ARGUMENTS = [
    a_record(span, "gen_ai.tool.message", {"content": json.dumps({"city": "Tokyo"})})
    for span in range(2, 8)
]
RESULTS = [a_record(span, "gen_ai.choice", {"message": "nothing found"}) for span in range(2, 8)]


class Service:
    """Windows and what earlier runs found; each step a minute after the one before."""

    def __init__(self, store: WindowStore) -> None:
        self.store = store
        self.lookback = Lookback()
        self.now_ns = NOON_NS
        self._offset = 0

    def arrive(self, *items: Span | LogRecord) -> None:
        self.now_ns += 6 * MINUTE_NS  # the next window
        self._offset += 1
        builder = RowBuilder()
        for position, item in enumerate(items, self._offset * 100):
            if isinstance(item, Span):
                builder.add_span(item, self.now_ns, position)
            else:
                builder.add_log_record(item, self.now_ns, position)
        start_ns = self.store.start_of(self.now_ns)
        self.store.insert(start_ns, builder.batch(), self._offset)

    def judge(self) -> Run:
        self.now_ns += 2 * MINUTE_NS
        with self.store.view(0) as view:
            return extend(self.lookback, view, settings=sections.Analysis(), until_ns=self.now_ns)


@pytest.fixture
def service(tmp_path: Path) -> Any:
    store = WindowStore(tmp_path / "windows", sections.Window(), Counters())
    store.open()
    yield Service(store)
    store.close()


@pytest.mark.parametrize("order", ["records first", "spans first", "together"])
def test_calls_that_only_log_records_tell_are_seen_to_repeat(service: Service, order: str) -> None:
    told = [*ARGUMENTS, *RESULTS]
    if order == "together":
        service.arrive(*told, *RUN)
    else:
        service.arrive(*(told if order == "records first" else RUN))
        service.arrive(*(RUN if order == "records first" else told))
    (judgement,) = service.judge().judged
    assert (judgement.calls, judgement.calls_captured) == (6, 6)
    assert {hit.detector for hit in judgement.hits} & {"loop", "redundant_call"}


def test_content_that_comes_late_is_judged_once_more(service: Service) -> None:
    service.arrive(*RUN)
    first = service.judge()
    assert [judgement.calls_captured for judgement in first.first] == [0]
    assert service.judge().judged == ()
    service.arrive(*ARGUMENTS, *RESULTS)
    again = service.judge()
    assert [judgement.calls_captured for judgement in again.judged] == [6]
    assert (again.first, again.spans_late) == ((), 0)
    assert service.judge().judged == ()


def test_an_evaluation_that_comes_late_has_its_run_judged_once_more(service: Service) -> None:
    service.arrive(*RUN)
    service.judge()
    service.arrive(a_record(0, "gen_ai.evaluation.result", None, **{"gen_ai.evaluation.name": "x"}))
    assert len(service.judge().judged) == 1
    assert service.judge().judged == ()


def test_other_log_records_have_nothing_judged_again(service: Service) -> None:
    service.arrive(*RUN)
    service.judge()
    service.arrive(a_record(2, "http.request"), a_record(0, "gen_ai.choice"))
    assert service.judge().judged == ()


def test_a_run_is_not_settled_while_its_records_come(service: Service) -> None:
    service.arrive(*RUN)
    service.now_ns += 6 * MINUTE_NS
    service.arrive(*RESULTS)
    with service.store.view(0) as view:
        run = extend(
            service.lookback, view, settings=sections.Analysis(), until_ns=service.now_ns + 1
        )
    assert (run.judged, run.waiting_ns) == ((), service.now_ns)


def test_the_goal_tree_knows_what_log_records_tell(service: Service) -> None:
    task = a_record(1, "gen_ai.user.message", {"content": "Find a hotel in Tokyo"})
    service.arrive(*RUN, task)
    with service.store.view(0) as view:
        assert any("hotel in Tokyo" in node.name for node in goal_tree(view, TRACE))
