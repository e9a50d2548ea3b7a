"""Langfuse's own functions around its drop-in for the OpenAI client."""

import os

from langfuse import Langfuse, propagate_attributes
from langfuse.openai import OpenAI
from travel import AGENT, QUESTION, SESSION, TOOLS, converse

langfuse = Langfuse(
    public_key="unused", secret_key="unused", base_url=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
)


def call_tool(name: str, call_id: str, arguments: dict[str, str]) -> str:
    with langfuse.start_as_current_observation(as_type="tool", name=name, input=arguments) as call:
        result = TOOLS[name](**arguments)
        call.update(output=result)
        return result


with (
    propagate_attributes(session_id=SESSION),
    langfuse.start_as_current_observation(as_type="agent", name=AGENT, input=QUESTION) as agent,
):
    agent.update(output=converse(call_tool, OpenAI()))
langfuse.shutdown()
