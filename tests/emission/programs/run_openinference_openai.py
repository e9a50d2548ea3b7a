"""OpenInference: its OpenAI instrumentor, and its tracer's decorators for agents and tools."""

from openinference.instrumentation import TracerProvider, using_session
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from travel import AGENT, QUESTION, SESSION, TOOLS, converse

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
OpenAIInstrumentor().instrument(tracer_provider=provider)
tracer = provider.get_tracer("travel")
tools = {name: tracer.tool(name=name)(tool) for name, tool in TOOLS.items()}


@tracer.agent(name=AGENT)
def answer(question: str) -> str:
    return converse(lambda name, call_id, arguments: tools[name](**arguments))


with using_session(SESSION):
    answer(QUESTION)
provider.shutdown()
