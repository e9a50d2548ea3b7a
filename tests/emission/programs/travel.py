"""What the Python programs share: the task, the tools, and the OpenTelemetry SDK sending by OTLP."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

AGENT = "travel-agent"
SESSION = "trip-7"
MODEL = "gpt-5-mini"
INSTRUCTIONS = "You plan trips. Use the tools."
QUESTION = "What is the weather in Ulm? Book a hotel there."


def get_weather(city: str) -> str:
    """The weather in a city."""
    return "12 degrees"


def book_hotel(city: str) -> str:
    """Book a hotel in a city."""
    raise RuntimeError("no rooms")


TOOLS = {"get_weather": get_weather, "book_hotel": book_hotel}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DEFINITIONS = [
    {
        "type": "function",
        "function": {"name": name, "description": tool.__doc__, "parameters": CITY},
    }
    for name, tool in TOOLS.items()
]


def converse(call_tool: Callable[[str, str, dict[str, Any]], str], client: Any = None) -> str:
    """The agent's loop, for SDKs that bring none; `call_tool` takes a name, a call id and arguments."""
    from openai import OpenAI

    model = (client or OpenAI()).chat.completions
    messages: list[Any] = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": QUESTION},
    ]
    while True:
        answer = model.create(model=MODEL, messages=messages, tools=DEFINITIONS).choices[0].message
        if not answer.tool_calls:
            return answer.content
        messages.append(answer)
        for call in answer.tool_calls:
            try:
                result = call_tool(call.function.name, call.id, json.loads(call.function.arguments))
            except RuntimeError as error:
                result = f"error: {error}"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


@contextmanager
def exporting() -> Iterator[None]:
    """Global providers of spans and log records that export to the endpoint of the environment."""
    from opentelemetry import trace
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    trace.set_tracer_provider(tracers)
    set_logger_provider(loggers)
    try:
        yield
    finally:
        tracers.shutdown()
        loggers.shutdown()
