"""OpenLLMetry: the Traceloop SDK with its decorators and its OpenAI instrumentation."""

import os

from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import agent, tool
from travel import AGENT, QUESTION, SESSION, TOOLS, converse

Traceloop.init(
    app_name="travel",
    api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    api_key="unused",
    telemetry_enabled=False,
)
tools = {name: tool(name=name)(function) for name, function in TOOLS.items()}


@agent(name=AGENT)
def answer(question: str) -> str:
    return converse(lambda name, call_id, arguments: tools[name](**arguments))


Traceloop.set_association_properties({"session_id": SESSION})
answer(QUESTION)
