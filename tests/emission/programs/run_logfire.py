"""The Logfire SDK instrumenting Pydantic AI, sending to our endpoint instead of Logfire's."""

import logfire
from pydantic_ai import Agent
from pydantic_ai.exceptions import ToolFailed
from travel import AGENT, INSTRUCTIONS, MODEL, QUESTION, SESSION, book_hotel, get_weather

logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_pydantic_ai()
agent = Agent(f"openai-chat:{MODEL}", name=AGENT, instructions=INSTRUCTIONS, tools=[get_weather])


@agent.tool_plain(name="book_hotel")
def book_a_hotel(city: str) -> str:
    """Book a hotel in a city."""
    try:
        return book_hotel(city)
    except RuntimeError as error:
        raise ToolFailed(str(error)) from error


agent.run_sync(QUESTION, conversation_id=SESSION)
logfire.shutdown()
