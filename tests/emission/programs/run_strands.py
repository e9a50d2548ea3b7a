"""Strands with its own tracer; MCP=1 puts the tools behind a server of the Model Context Protocol."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from mcp import StdioServerParameters, stdio_client
from strands import Agent, tool
from strands.models.openai import OpenAIModel
from strands.telemetry import StrandsTelemetry
from strands.tools.mcp import MCPClient
from travel import AGENT, INSTRUCTIONS, MODEL, QUESTION, SESSION, TOOLS

telemetry = StrandsTelemetry().setup_otlp_exporter()
with ExitStack() as stack:
    tools = [tool(each) for each in TOOLS.values()]
    if "MCP" in os.environ:
        server = StdioServerParameters(
            command=sys.executable,
            args=[str(Path(__file__).with_name("mcp_server.py"))],
            env=dict(os.environ),
        )
        tools = stack.enter_context(MCPClient(lambda: stdio_client(server))).list_tools_sync()
    agent = Agent(
        name=AGENT,
        system_prompt=INSTRUCTIONS,
        tools=tools,
        model=OpenAIModel(model_id=MODEL),
        callback_handler=None,
        trace_attributes={"session.id": SESSION},
    )
    agent(QUESTION)
telemetry.tracer_provider.shutdown()
