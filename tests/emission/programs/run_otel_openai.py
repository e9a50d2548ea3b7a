"""OpenTelemetry's own: its OpenAI instrumentation, and its handler for agents and tools."""

from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.util.genai.handler import get_telemetry_handler
from travel import AGENT, MODEL, SESSION, TOOLS, converse, exporting

with exporting():
    OpenAIInstrumentor().instrument()
    handler = get_telemetry_handler()

    def call_tool(name: str, call_id: str, arguments: dict[str, str]) -> str:
        with handler.tool(name, tool_type="function", agent_name=AGENT) as call:
            call.tool_call_id = call_id
            if handler.should_capture_content():
                call.arguments = arguments
            result = TOOLS[name](**arguments)
            if handler.should_capture_content():
                call.tool_result = result
            return result

    with handler.invoke_local_agent(agent_name=AGENT, request_model=MODEL, conversation_id=SESSION):
        converse(call_tool)
