"""The one run that every program performs: what an agent is asked, does and answers.

The agent "travel-agent" is asked about Ulm; in its first turn the model calls `get_weather`, which
answers, in its second `book_hotel`, which fails, and in its third it answers the user.
"""

from dataclasses import dataclass
from typing import Final

AGENT: Final = "travel-agent"
SESSION: Final = "trip-7"
QUESTION: Final = "What is the weather in Ulm? Book a hotel there."
ANSWER: Final = "It is 12 degrees in Ulm, but there are no rooms."
MODEL: Final = "gpt-5-mini"
MODEL_SERVED: Final = "gpt-5-mini-2026-01-01"
ARGUMENTS: Final = {"city": "Ulm"}
WEATHER: Final = "12 degrees"
NO_ROOMS: Final = "no rooms"
TOOLS: Final = ("get_weather", "book_hotel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the model: a call of `tool`, or the last words; with its tokens."""

    tool: str | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int

    @property
    def call_id(self) -> str:
        return f"call_{self.tool}"


TURNS: Final = (
    Turn(tool="get_weather", input_tokens=120, cached_tokens=40, output_tokens=15),
    Turn(tool="book_hotel", input_tokens=160, cached_tokens=110, output_tokens=18),
    Turn(tool=None, input_tokens=200, cached_tokens=150, output_tokens=21),
)
