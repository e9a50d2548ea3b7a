"""Strands on Bedrock AgentCore's runtime, with AWS's distribution of OpenTelemetry.

SPLIT=1 moves what was said from spans to log records, as the distribution's exporter to AWS does.
"""

import json
import os
import socket
import threading
from http.client import HTTPConnection
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.auto_instrumentation import initialize
from travel import AGENT, INSTRUCTIONS, MODEL, QUESTION, SESSION, TOOLS


def application() -> Any:
    """The agent on the runtime; imported here because instrumentation must come first."""
    from bedrock_agentcore import BedrockAgentCoreApp
    from strands import Agent, tool
    from strands.models.openai import OpenAIModel

    app = BedrockAgentCoreApp()

    @app.entrypoint
    def invoke(payload: dict[str, str]) -> Any:
        agent = Agent(
            name=AGENT,
            system_prompt=INSTRUCTIONS,
            tools=[tool(each) for each in TOOLS.values()],
            model=OpenAIModel(model_id=MODEL),
            callback_handler=None,
        )
        return agent(payload["prompt"]).message

    return app


def split() -> None:
    """Export spans without what was said, which goes to log records."""
    from amazon.opentelemetry.distro.llo_handler import LLOHandler
    from opentelemetry._logs import get_logger_provider
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class Exporter(OTLPSpanExporter):
        def export(self, spans: Any) -> Any:
            return super().export(LLOHandler(get_logger_provider()).process_spans(spans))

    trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(Exporter()))


def ask(host: str, port: int) -> None:
    """One request to the runtime; in AWS, the runtime itself adds the baggage."""
    session = {"baggage": f"session.id={SESSION}", "content-type": "application/json"}
    connection = HTTPConnection(host, port)
    connection.request("POST", "/invocations", json.dumps({"prompt": QUESTION}), session)
    print(connection.getresponse().read().decode())
    connection.close()


def main() -> None:
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application(), log_level="warning"))
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()
        ask(*listening.getsockname())
        server.should_exit = True
        serving.join()


initialize()
if "SPLIT" in os.environ:
    split()
main()
trace.get_tracer_provider().shutdown()
