"""MLflow's spans and its autologging of the OpenAI client, sending to an OTLP endpoint."""

import os

import mlflow
from mlflow.entities import SpanType
from travel import AGENT, QUESTION, SESSION, TOOLS, converse

# With the general endpoint it sends metrics too, and then looks for an experiment on a server.
endpoint = os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT")
os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{endpoint}/v1/traces"

mlflow.openai.autolog()
tools = {
    name: mlflow.trace(tool, name=name, span_type=SpanType.TOOL) for name, tool in TOOLS.items()
}


@mlflow.trace(name=AGENT, span_type=SpanType.AGENT)
def agent(question: str) -> str:
    mlflow.update_current_trace(session_id=SESSION)
    return converse(lambda name, call_id, arguments: tools[name](**arguments))


agent(QUESTION)
mlflow.flush_trace_async_logging()
