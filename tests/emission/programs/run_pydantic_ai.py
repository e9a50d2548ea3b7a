"""Pydantic AI with its own instrumentation, in the format that FORMAT names."""

import os
import warnings

from pydantic_ai import Agent
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.models.instrumented import InstrumentationSettings
from travel import AGENT, INSTRUCTIONS, MODEL, QUESTION, SESSION, book_hotel, exporting, get_weather

warnings.filterwarnings("ignore")  # older formats are deprecated, and meant here


def book_a_hotel(city: str) -> str:
    """Book a hotel in a city."""
    try:
        return book_hotel(city)
    except RuntimeError as error:
        raise ToolFailed(str(error)) from error


with exporting():
    agent = Agent(
        f"openai-chat:{MODEL}",
        name=AGENT,
        instructions=INSTRUCTIONS,
    )
    agent.instrument = InstrumentationSettings(version=int(os.environ["FORMAT"]))
    agent.tool_plain(get_weather)
    agent.tool_plain(name="book_hotel")(book_a_hotel)
    agent.run_sync(QUESTION, conversation_id=SESSION)
