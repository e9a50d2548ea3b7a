"""The model tier's own work as spans: well-formed by our own dialect, masked, and never let back in."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from halo_otel.agentspan.normalise import normalise
from halo_otel.clock import ManualClock, SystemClock
from halo_otel.config.sections import Config
from halo_otel.errors import Unreachable
from halo_otel.llm.budget import Amount
from halo_otel.llm.conversation import Answer, Call, Message, Payload, Question, Tool
from halo_otel.model.facts import SpanKind
from halo_otel.model.span import STATUS_ERROR, Span
from halo_otel.otlp import encode
from halo_otel.otlp.jsonlines import spans_from_json_line
from halo_otel.receiver.admission import admit
from halo_otel.recursion.progress import (
    Answered,
    Asked,
    Began,
    Claimed,
    Ended,
    Event,
    Looked,
    Said,
)
from halo_otel.redact.mask import USUAL
from halo_otel.selfobs import Counters
from halo_otel.service.tracing import Tracing

SECRET = "ghp_" + "8fKq2LrZ7vXw0NtYb5Jc3MhGd9PsAe4QiTuR"  # of no account
QUESTION = Question(
    messages=(
        Message.system("You analyse."),
        Message.user("Why? ", Payload(field="tool.result", text=f"the key is {SECRET}")),
    ),
    tools=(Tool(name="query", description="", parameters={}),),
)
CALL = Call(id="c1", tool="query", arguments={"sql": "select 1", "key": SECRET})
ANSWER = Answer(
    text="I look.",
    calls=(CALL,),
    value=None,
    problem=None,
    is_cut=False,
    refusal=None,
    model="scripted-1",
    spent=Amount(input_tokens=120, output_tokens=7, cost_nano=3_000_000, calls=1),
)
PART = Question(messages=(Message.user("a part"),))


def events() -> Iterator[Event]:
    """One conversation with a turn, a call and a claim."""
    yield Began(about="abc", title="Bookings fail")
    yield Asked(question=QUESTION)
    yield Answered(question=QUESTION, answer=ANSWER)
    yield Said(about="abc", answer=ANSWER)
    reply = f"1 row: {SECRET}"
    yield Looked(about="abc", tool="query", arguments=CALL.arguments, reply=reply, call_id=CALL.id)
    yield Claimed(about="abc", statement="They loop.", dropped="")
    yield Ended(about="abc", unfinished="")


async def told(file: Path, payloads: str = "redacted", heard: Sequence[Event] = ()) -> list[Span]:
    """The spans that were written of `events` and, outside of conversations, a part that failed."""
    llm = Config().llm.model_copy(update={"telemetry": str(file), "payloads": payloads})
    clock = ManualClock()
    async with Tracing(llm, clock, Counters(), USUAL) as tracing:
        with tracing.window("Why?", None) as hear:
            for event in (*events(), Asked(question=PART), *heard):
                clock.advance(1)
                hear(event)
            if not heard:
                hear(Answered(question=PART, answer=None, why=str(Unreachable("it is down"))))
    return spans_in(file)


def spans_in(file: Path) -> list[Span]:
    return [span for line in file.read_bytes().splitlines() for span in spans_from_json_line(line)]


async def test_it_is_a_well_formed_agent_trace(tmp_path: Path) -> None:
    spans = {span.name: span for span in await told(tmp_path / "own.jsonl")}
    kinds = {name: normalise(span).kind for name, span in spans.items()}
    assert kinds == {
        "halo.deepen": SpanKind.CHAIN,
        "cluster": SpanKind.AGENT,
        "chat scripted-1": SpanKind.LLM,
        "query": SpanKind.TOOL,
        "chat": SpanKind.LLM,
    }
    root, agent = spans["halo.deepen"], spans["cluster"]
    assert root.parent_span_id == ""
    assert {one.trace_id for one in spans.values()} == {root.trace_id}
    assert agent.parent_span_id == spans["chat"].parent_span_id == root.span_id
    assert spans["chat scripted-1"].parent_span_id == spans["query"].parent_span_id == agent.span_id
    assert spans["chat"].status_code == STATUS_ERROR
    assert "down" in spans["chat"].status_message
    call = spans["query"]
    assert spans["chat scripted-1"].end_ns <= call.start_ns < call.end_ns
    assert [event.attributes["halo.claim"] for event in agent.events] == ["They loop."]


async def test_a_request_says_its_model_tokens_cost_and_messages(tmp_path: Path) -> None:
    (chat,) = [one for one in await told(tmp_path / "own.jsonl") if one.name == "chat scripted-1"]
    facts = normalise(chat)
    assert (
        facts.model_served or facts.model_requested,
        facts.input_tokens,
        facts.output_tokens,
    ) == ("scripted-1", 120, 7)
    assert facts.cost == pytest.approx(0.003)
    assert chat.attributes["llm.input_messages.0.message.content"] == "You analyse."
    called = "llm.output_messages.0.message.tool_calls.0.tool_call.function.name"
    assert chat.attributes[called] == "query"


@pytest.mark.parametrize("payloads", ["redacted", "none"])
async def test_no_secret_stands_in_it(tmp_path: Path, payloads: str) -> None:
    file = tmp_path / "own.jsonl"
    await told(file, payloads)
    assert SECRET not in file.read_text(encoding="utf-8")


async def test_with_all_payloads_they_stand_in_it(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    await told(file, "full")
    assert SECRET in file.read_text(encoding="utf-8")


async def test_what_is_cut_short_ends_all_the_same(tmp_path: Path) -> None:
    spans = await told(tmp_path / "own.jsonl", heard=[Began(about="late")])
    open_ends = [one for one in spans if one.status_message == "cut short"]
    assert sorted(one.name for one in open_ends) == ["chat", "cluster"]


async def test_what_comes_back_through_a_collector_is_dropped(tmp_path: Path) -> None:
    spans = await told(tmp_path / "own.jsonl")
    verdict = admit("traces", encode.request(spans).SerializeToString())
    assert (verdict.accepted, verdict.looped) == (0, len(spans))
    assert verdict.payload == b""


async def test_a_file_that_cannot_be_written_costs_the_analysis_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    await asyncio.to_thread(blocked.write_text, "")
    llm = Config().llm.model_copy(update={"telemetry": str(blocked / "own.jsonl")})
    counters = Counters()
    async with Tracing(llm, SystemClock(), counters, USUAL) as tracing:
        with tracing.window(None, None) as hear:
            for event in events():
                hear(event)
    counted = {reading.name: reading.value for reading in counters.snapshot()}
    assert counted["halo.llm.untold_spans"] == 4


class _Receiver(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []

    def Export(
        self, request: ExportTraceServiceRequest, context: Any
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        return ExportTraceServiceResponse()


async def test_it_goes_to_a_receiver(tmp_path: Path) -> None:
    receiver = _Receiver()
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    llm = Config().llm.model_copy(update={"telemetry": f"http://127.0.0.1:{port}"})
    async with Tracing(llm, SystemClock(), Counters(), USUAL) as tracing:
        with tracing.window(None, None) as hear:
            for event in events():
                hear(event)
    server.stop(None).wait()
    scopes = [s for r in receiver.requests for one in r.resource_spans for s in one.scope_spans]
    assert sum(len(scope.spans) for scope in scopes) == 4
    assert {scope.scope.name for scope in scopes} == {"halo_otel"}
