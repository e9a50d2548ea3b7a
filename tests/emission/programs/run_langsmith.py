"""LangSmith's decorators and its wrapper of the OpenAI client, sending by OpenTelemetry only."""

from langsmith import Client, traceable, tracing_context
from langsmith.wrappers import wrap_openai
from openai import OpenAI
from travel import AGENT, QUESTION, SESSION, TOOLS, converse

client = Client()
tools = {name: traceable(run_type="tool", name=name)(tool) for name, tool in TOOLS.items()}


def call_tool(name: str, call_id: str, arguments: dict[str, str]) -> str:
    return tools[name](**arguments, langsmith_extra={"metadata": {"tool_call_id": call_id}})


@traceable(run_type="chain", name=AGENT, metadata={"thread_id": SESSION})
def agent(question: str) -> str:
    return converse(call_tool, wrap_openai(OpenAI()))


with tracing_context(client=client):
    agent(QUESTION)
client.flush()
