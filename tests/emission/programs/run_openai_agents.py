"""The OpenAI Agents SDK, told by the instrumentation that TOLD_BY names."""

import os
from contextlib import nullcontext

from agents import Agent, RunConfig, RunContextWrapper, Runner, function_tool, set_trace_processors
from travel import AGENT, INSTRUCTIONS, MODEL, QUESTION, SESSION, book_hotel, exporting, get_weather

set_trace_processors([])  # nothing goes to OpenAI's own backend


def instrument() -> None:
    if os.environ["TOLD_BY"] == "openinference":
        from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

        OpenAIAgentsInstrumentor().instrument()
    elif os.environ["TOLD_BY"] == "openllmetry":
        from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor

        OpenAIAgentsInstrumentor().instrument()
    else:
        import logfire

        logfire.configure(send_to_logfire=False, console=False)
        logfire.instrument_openai_agents()


def tell_the_model(_: RunContextWrapper, error: Exception) -> str:
    """Without this, the SDK redacts what went wrong."""
    return f"error: {error}"


# Logfire brings its own OpenTelemetry SDK and exporters.
with nullcontext() if os.environ["TOLD_BY"] == "logfire" else exporting():
    instrument()
    agent = Agent(
        name=AGENT,
        instructions=INSTRUCTIONS,
        model=MODEL,
        tools=[
            function_tool(get_weather),
            function_tool(book_hotel, failure_error_function=tell_the_model),
        ],
    )
    Runner.run_sync(agent, QUESTION, run_config=RunConfig(group_id=SESSION))
