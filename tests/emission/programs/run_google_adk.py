"""Google's Agent Development Kit with a model of OpenAI's, by LiteLLM."""

import asyncio

from google.adk.agents import Agent
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from travel import INSTRUCTIONS, MODEL, QUESTION, SESSION, book_hotel, exporting, get_weather


def book_a_hotel(city: str) -> dict[str, str]:
    """Book a hotel in a city."""
    try:
        return {"result": book_hotel(city)}
    except RuntimeError as error:
        return {"error": str(error)}


book_a_hotel.__name__ = "book_hotel"


async def main() -> None:
    agent = Agent(
        name="travel_agent",
        model=LiteLlm(MODEL),
        instruction=INSTRUCTIONS,
        tools=[get_weather, book_a_hotel],
    )
    runner = InMemoryRunner(agent=agent, app_name="travel")
    await runner.session_service.create_session(
        app_name="travel", user_id="user-1", session_id=SESSION
    )
    asked = types.Content(role="user", parts=[types.Part(text=QUESTION)])
    async for _ in runner.run_async(user_id="user-1", session_id=SESSION, new_message=asked):
        pass


with exporting():
    asyncio.run(main())
