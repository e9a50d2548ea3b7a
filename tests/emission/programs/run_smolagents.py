"""smolagents through OpenInference."""

from openinference.instrumentation import using_session
from openinference.instrumentation.smolagents import SmolagentsInstrumentor
from smolagents import OpenAIServerModel, ToolCallingAgent, tool
from travel import MODEL, QUESTION, SESSION, exporting
from travel import book_hotel as _book_hotel
from travel import get_weather as _get_weather


@tool
def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: The city.
    """
    return _get_weather(city)


@tool
def book_hotel(city: str) -> str:
    """Book a hotel in a city.

    Args:
        city: The city.
    """
    return _book_hotel(city)


with exporting(), using_session(SESSION):
    SmolagentsInstrumentor().instrument()
    agent = ToolCallingAgent(
        tools=[get_weather, book_hotel],
        model=OpenAIServerModel(MODEL),
        name="travel_agent",
        verbosity_level=0,
    )
    agent.run(QUESTION)
