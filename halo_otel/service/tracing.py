"""The model tier's own work as OpenInference spans: to a file of OTLP JSON lines, or to an OTLP receiver.

    CHAIN  halo.deepen            one window
      AGENT  question | cluster | window   one conversation, with an event for each claim
        LLM    chat <model>       each request that was answered or failed
        TOOL   <tool>             each call
      LLM                         requests outside of conversations: parts of runs

It hears what `recursion.progress` tells; the SDK's tracer and batch processor, on a thread of their own, do the
rest, and are imported only when this is started. What they cannot deliver is logged and counted, and costs the analysis nothing. Loop
guard: all spans bear our scope and service name, so that a receiver of ours drops them.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from halo_otel import __version__
from halo_otel.clock import Clock, rfc3339
from halo_otel.config.llm import Llm
from halo_otel.config.load import TELEMETRY_VARIABLE, variable
from halo_otel.errors import Unwritable
from halo_otel.llm.conversation import Question
from halo_otel.llm.lines import Lines
from halo_otel.otlp import names
from halo_otel.otlp.encode import json_request
from halo_otel.recursion.progress import (
    Answered,
    Asked,
    Began,
    Claimed,
    Ended,
    Event,
    Listener,
    Looked,
    Said,
)
from halo_otel.recursion.talk.conversing import QUESTION, WINDOW
from halo_otel.redact.mask import Rules
from halo_otel.selfobs import Counters
from halo_otel.service.openinference import INPUT, KIND, OUTPUT, Telling, Value

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span, Tracer

logger = logging.getLogger(__name__)

_BATCH_SPANS: Final = 16  # a Collector takes 4 MiB at once (grpc-go's default); see TEXT_CHARS_MAX
_QUEUE_SPANS: Final = 4_096
_ATTRIBUTES_MAX: Final = 1_024  # the SDK's 128 would cut a long conversation
_AGENTS: Final = {QUESTION: "question", WINDOW: "window"}


class Tracing:
    """Async context manager; start downstream of the model. `window` for each deepened report."""

    def __init__(self, settings: Llm, clock: Clock, counters: Counters, rules: Rules) -> None:
        self._settings = settings
        self._rules = rules
        self._clock = clock
        self._counters = counters
        self._provider: TracerProvider | None = None

    async def __aenter__(self) -> "Tracing":
        self._provider = await asyncio.to_thread(_provider, self._settings, self._counters)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._provider is not None:
            provider, self._provider = self._provider, None
            await asyncio.to_thread(provider.shutdown)  # what waits is sent first

    @contextmanager
    def window(self, question: str | None, listen: Listener | None) -> Iterator[Listener]:
        """A listener that tells of one window, and passes on to `listen` what it hears."""
        assert self._provider is not None, "enter the context first"
        tracer = self._provider.get_tracer(names.SCOPE_NAME, __version__)
        told = _Window(tracer, Telling(self._settings.payloads, self._rules), self._clock, question)

        def hear(event: Event) -> None:
            told.hear(event)
            if listen:
                listen(event)

        try:
            yield hear
        finally:
            told.end()


@dataclass(slots=True)
class _Talk:
    """A conversation; `since_ns` is when its last turn or call ended, and so the next call begins."""

    span: "Span"
    since_ns: int


class _Window:
    """The spans of one window."""

    def __init__(
        self, tracer: "Tracer", telling: Telling, clock: Clock, question: str | None
    ) -> None:
        self._tracer = tracer
        self._telling = telling
        self._clock = clock
        self._about: ContextVar[str] = ContextVar("about", default="")
        self._talks: dict[str, _Talk] = {}
        self._asked: dict[int, Span] = {}
        asked = {} if question is None else {INPUT: telling.text(question)}
        self._root = self._start("halo.deepen", "CHAIN", None, asked)

    def hear(self, event: Event) -> None:
        """Tell of `event`."""
        match event:
            case Began():
                self._begin(event)
            case Asked():
                self._ask(event.question)
            case Answered():
                self._answer(event)
            case Said() if event.about in self._talks:
                self._talks[event.about].since_ns = self._clock.now_ns()
            case Looked() if event.about in self._talks:
                self._look(event, self._talks[event.about])
            case Claimed() if event.about in self._talks:
                claim: dict[str, Value] = {
                    "halo.claim": self._telling.text(event.statement),
                    "halo.dropped": event.dropped,
                }
                self._talks[event.about].span.add_event("halo.claim", claim, self._clock.now_ns())
            case Ended() if event.about in self._talks:
                self._about.set("")
                self._finish(self._talks.pop(event.about).span, event.unfinished)

    def end(self) -> None:
        """End what is open; what is besides the window was cut short."""
        for span in (*self._asked.values(), *(talk.span for talk in self._talks.values())):
            self._finish(span, "cut short")
        self._asked.clear()
        self._talks.clear()
        self._finish(self._root)

    def _begin(self, event: Began) -> None:
        agent = _AGENTS.get(event.about, "cluster")
        about = self._telling.text(event.title or event.about)
        told: dict[str, Value] = {"agent.name": agent, "halo.about": event.about, INPUT: about}
        span = self._start(agent, "AGENT", self._root, told)
        self._talks[event.about] = _Talk(span, self._clock.now_ns())
        self._about.set(event.about)  # of this task, and of those that it starts

    def _ask(self, question: Question) -> None:
        talk = self._talks.get(self._about.get())
        told: dict[str, Value] = {"halo.role": question.role}
        span = self._start("chat", "LLM", talk.span if talk else self._root, told)
        self._asked[id(question)] = span

    def _answer(self, event: Answered) -> None:
        span = self._asked.pop(id(event.question))
        # Not when it was asked: what a request holds was masked for sending in between, and is known.
        span.set_attributes(self._telling.question(event.question))
        if event.answer is not None:
            span.update_name(f"chat {event.answer.model}")
            span.set_attributes(self._telling.answer(event.answer))
        self._finish(span, event.why)

    def _look(self, event: Looked, talk: _Talk) -> None:
        told: dict[str, Value] = {
            "tool.name": event.tool,
            INPUT: self._telling.arguments(event.arguments),
            "input.mime_type": "application/json",
            OUTPUT: self._telling.reply(event.tool, event.reply),
        }
        span = self._start(event.tool, "TOOL", talk.span, told, talk.since_ns)
        self._finish(span)
        talk.since_ns = self._clock.now_ns()

    def _start(
        self,
        name: str,
        kind: str,
        parent: "Span | None",
        told: Mapping[str, Value],
        start_ns: int | None = None,
    ) -> "Span":
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        return self._tracer.start_span(
            name,
            # An empty context: whatever traces the program that uses us is not our parent.
            context=set_span_in_context(parent, Context()) if parent else Context(),
            attributes={KIND: kind, **told},
            start_time=start_ns or self._clock.now_ns(),
        )

    def _finish(self, span: "Span", problem: str = "") -> None:
        from opentelemetry.trace import Status, StatusCode

        if problem:
            span.set_status(Status(StatusCode.ERROR, self._telling.text(problem)))
        span.end(self._clock.now_ns())


def unnamed_file(now_ns: int) -> str:
    """Where HALO's flag `--telemetry` alone writes (halo-engine 0.3.5, `engine/telemetry/setup.py`)."""
    moment = rfc3339(now_ns).replace(":", "").replace(".", "")
    return variable(TELEMETRY_VARIABLE) or f"halo-telemetry-{moment}.jsonl"


def _provider(settings: Llm, counters: Counters) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource({names.RESOURCE_SERVICE_NAME: names.SERVICE_NAME}),
        span_limits=SpanLimits(max_span_attributes=_ATTRIBUTES_MAX),
        shutdown_on_exit=False,
    )
    processor = BatchSpanProcessor(
        _exporter(settings, counters),
        max_queue_size=_QUEUE_SPANS,
        max_export_batch_size=_BATCH_SPANS,
    )
    provider.add_span_processor(processor)
    return provider


def _exporter(settings: Llm, counters: Counters) -> "SpanExporter":
    """To a receiver by the SDK's exporter, which also heeds `OTEL_EXPORTER_OTLP_HEADERS`; else to a file."""
    to = settings.telemetry or ""
    if to.startswith(("http://", "https://")):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=to, insecure=to.startswith("http://"))
    return _file_exporter(Path(to).expanduser(), settings.telemetry_bytes, counters)


def _file_exporter(file: Path, size_bytes: int, counters: Counters) -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Exporter(SpanExporter):
        def __init__(self) -> None:
            self._lines = Lines(file, size_bytes, "tell what the model tier does")

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            try:
                self._lines.append(json_request(encode_spans(spans)).decode())
            except Unwritable as error:
                counters.add("halo.llm.untold_spans", len(spans))
                logger.error("%s", error)  # noqa: TRY400 (the message is for people)
                return SpanExportResult.FAILURE
            return SpanExportResult.SUCCESS

    return Exporter()
