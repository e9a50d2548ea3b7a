"""LangChain's agent, told by the instrumentation that TOLD_BY names."""

import os

from langchain.agents import create_agent
from langchain.agents.middleware import wrap_tool_call
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI
from travel import AGENT, INSTRUCTIONS, MODEL, QUESTION, SESSION, TOOLS, exporting


@wrap_tool_call
def tell_the_model(request, call):
    """Without this, a tool's exception ends the run."""
    try:
        return call(request)
    except RuntimeError as error:
        content = f"error: {error}"
        return ToolMessage(content, tool_call_id=request.tool_call["id"], status="error")


with exporting():
    if os.environ["TOLD_BY"] == "openinference":
        from openinference.instrumentation.langchain import LangChainInstrumentor
    else:
        from opentelemetry.instrumentation.langchain import (
            LangchainInstrumentor as LangChainInstrumentor,
        )
    LangChainInstrumentor().instrument()
    agent = create_agent(
        ChatOpenAI(model=MODEL),
        list(TOOLS.values()),
        system_prompt=INSTRUCTIONS,
        middleware=[tell_the_model],
        name=AGENT,
    )
    agent.invoke(
        {"messages": [("user", QUESTION)]},
        {"configurable": {"thread_id": SESSION}, "metadata": {"session_id": SESSION}},
    )
