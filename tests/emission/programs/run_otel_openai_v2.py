"""OpenTelemetry's first OpenAI instrumentation; the agent's and tools' spans are written by hand.

It tells by the conventions 1.30, which had no keys yet for what a tool is given and answers.
"""

from opentelemetry import trace
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from travel import AGENT, SESSION, TOOLS, converse, exporting

with exporting():
    OpenAIInstrumentor().instrument()
    tracer = trace.get_tracer("travel")

    def call_tool(name: str, call_id: str, arguments: dict[str, str]) -> str:
        call = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call_id,
        }
        with tracer.start_as_current_span(f"execute_tool {name}", attributes=call):
            return TOOLS[name](**arguments)

    agent = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT,
        "gen_ai.conversation.id": SESSION,
    }
    with tracer.start_as_current_span(f"invoke_agent {AGENT}", attributes=agent):
        converse(call_tool)
