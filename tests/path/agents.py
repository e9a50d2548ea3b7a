"""Agent runs told through the real OpenTelemetry SDK, as an instrumented application does."""

import json
import time
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SERVICE = "booking"
NS = 1_000_000_000

SAID = '[{"role":"assistant","parts":[{"type":"text","content":"Let me see."}]}]'


class Agents:
    """One instrumented process: runs of a booking agent, exported to a Collector."""

    def __init__(self, collector_port: int, service: str = SERVICE) -> None:
        self.provider = TracerProvider(
            resource=Resource({"service.name": service, "service.version": "2.3.1"})
        )
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{collector_port}", insecure=True)
        self.provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
        self.tracer = self.provider.get_tracer("booking-agent", "1.0")
        self.spans = 0

    def run(self, session: str, *, repeats: int = 1, fails: bool = False) -> str:
        """One run; returns its trace id. `repeats` > 2 is a loop, `fails` a failing tool."""
        start = time.time_ns() - 30 * NS
        root = self._span(
            "invoke_agent booking",
            None,
            start,
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "booking"}
            | {"gen_ai.conversation.id": session, "gen_ai.provider.name": "openai"},
        )
        at = start
        for _ in range(repeats):
            at = self._model_turn(root, at + NS // 10)
            asked = {"from": "OSL", "to": "LIS", "traveller": session}
            at = self._tool_call(root, at, asked, '{"flights": []}')
        if fails:
            at = self._tool_call(root, at, {"card": session}, None)
        at = self._model_turn(root, at + NS // 10)
        root.end(at + NS // 100)
        return format(root.get_span_context().trace_id, "032x")

    def _model_turn(self, parent: trace.Span, at: int) -> int:
        span = self._span(
            "chat gpt-5",
            parent,
            at,
            {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}
            | {"gen_ai.provider.name": "openai"}
            | {"gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 60}
            | {"gen_ai.output.messages": SAID},
        )
        span.end(at + NS)
        return at + NS

    def _tool_call(
        self, parent: trace.Span, at: int, arguments: dict[str, str], result: str | None
    ) -> int:
        name = "search_flights" if result is not None else "charge_card"
        span = self._span(
            f"execute_tool {name}",
            parent,
            at,
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
            | {"gen_ai.tool.call.arguments": json.dumps(arguments)},
        )
        if result is not None:
            span.set_attribute("gen_ai.tool.call.result", result)
        else:
            message = f"card {arguments['card']} refused: PaymentError code 402"
            span.add_event(
                "exception",
                {"exception.type": "PaymentError", "exception.message": message},
                timestamp=at + NS // 4,
            )
            span.set_status(trace.Status(trace.StatusCode.ERROR, message))
        span.end(at + NS // 3)
        return at + NS // 3

    def _span(
        self,
        name: str,
        parent: trace.Span | None,
        at: int,
        attributes: Mapping[str, str | int],
    ) -> trace.Span:
        self.spans += 1
        context = trace.set_span_in_context(parent) if parent else Context()
        return self.tracer.start_span(name, context, start_time=at, attributes=dict(attributes))

    def flush(self) -> None:
        assert self.provider.force_flush(30_000)

    def close(self) -> None:
        self.provider.shutdown()
