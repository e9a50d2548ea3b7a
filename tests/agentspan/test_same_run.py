"""One run, told by real packages in every dialect, gives the same facts.

The run: the agent "travel-agent" asks gpt-5-mini (120 tokens in, 15 out), calls `get_weather`, which
answers, and `book_hotel`, which fails. `captured/` holds what each package emitted, with its version;
`README.md` there says what they leave out.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from halo_otel.model.facts import AgentFacts, SpanKind
from tests.agentspan.conftest import CAPTURED

QUESTION = "What is the weather in Ulm?"
NO_ROOMS = "no rooms"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What of the run a package tells; `None` is what it leaves out."""

    dialect: str
    agent: str | None = "travel-agent"
    model: str | None = "gpt-5-mini"
    question: str | None = QUESTION
    arguments: Any = None
    result: str | None = "12 degrees"
    failure: str | None = NO_ROOMS
    tools: bool = True
    session: bool = True


CITY = {"city": "Ulm"}
MODEL_ONLY: dict[str, Any] = {"agent": None, "tools": False, "session": False}
RUNS = {
    "google_adk": Told(
        dialect="google_adk", agent="travel_agent", question=None, result=None, failure="TOOL_ERROR"
    ),
    "google_adk_content": Told(dialect="google_adk", agent="travel_agent", arguments=CITY),
    "langfuse": Told(dialect="langfuse", arguments=CITY),
    "langsmith": Told(dialect="langsmith", arguments=CITY),
    "mlflow": Told(dialect="mlflow", arguments=CITY, session=False),
    "openai_agents_logfire": Told(
        dialect="logfire", arguments=CITY, failure="Error running tool", session=False
    ),
    "openai_agents_openinference": Told(
        dialect="openinference", arguments=CITY, failure="Error running tool", session=False
    ),
    "openinference_openai": Told(dialect="openinference", **MODEL_ONLY),
    "openllmetry_new": Told(dialect="gen_ai", **MODEL_ONLY),
    "openllmetry_old": Told(dialect="openllmetry", **MODEL_ONLY),
    "openllmetry_sdk": Told(dialect="openllmetry", arguments=CITY),
    "pydantic_ai_v2": Told(dialect="pydantic_ai", arguments=CITY),
    "pydantic_ai_v6": Told(dialect="pydantic_ai", arguments=CITY),
    "smolagents": Told(dialect="smolagents", agent="travel_agent", arguments=CITY, session=False),
    "strands_default": Told(dialect="strands", arguments=CITY),
    "strands_latest": Told(dialect="strands", arguments=CITY),
    "vercel_ai_v5": Told(dialect="vercel_ai", arguments=CITY),
}

Captured = Callable[[str], list[AgentFacts]]


def first(run: Sequence[AgentFacts], kind: SpanKind, **facts: Any) -> AgentFacts:
    return next(
        known
        for known in run
        if known.kind is kind and all(getattr(known, fact) == is_ for fact, is_ in facts.items())
    )


def test_every_capture_is_told_of() -> None:
    assert set(RUNS) == {file.stem for file in CAPTURED.glob("*.json")}


@pytest.mark.parametrize("name", RUNS)
def test_the_dialect_is_recognised_and_nothing_is_left_unclassified(
    captured: Captured, name: str
) -> None:
    run = captured(name)
    assert any(RUNS[name].dialect in known.dialects for known in run)
    assert SpanKind.OTHER not in {known.kind for known in run}


@pytest.mark.parametrize("name", [name for name, told in RUNS.items() if told.agent])
def test_the_agent(captured: Captured, name: str) -> None:
    run, told = captured(name), RUNS[name]
    first(run, SpanKind.AGENT, agent_name=told.agent)
    sessions = {known.session_id for known in run if known.kind is SpanKind.AGENT}
    assert (None not in sessions) == told.session


@pytest.mark.parametrize("name", RUNS)
def test_the_model_call(captured: Captured, name: str) -> None:
    told, call = RUNS[name], first(captured(name), SpanKind.LLM)
    assert call.model_requested == told.model
    assert (call.input_tokens, call.output_tokens) == (120, 15)
    assert call.cache_read_tokens in {40, None}
    assert call.cache_accounting == ("inside" if call.cache_read_tokens else None)
    if told.question is None:
        assert call.input_text is None
    else:
        assert told.question in (call.input_text or "")
        assert call.output_text is not None


@pytest.mark.parametrize("name", [name for name, told in RUNS.items() if told.tools])
def test_the_tool_calls(captured: Captured, name: str) -> None:
    run, told = captured(name), RUNS[name]
    weather = first(run, SpanKind.TOOL, tool_name="get_weather")
    hotel = first(run, SpanKind.TOOL, tool_name="book_hotel")
    for call in (weather, hotel):
        assert (call.tool_arguments and json.loads(call.tool_arguments)) == told.arguments
        assert call.input_tokens is None
    assert weather.tool_result == told.result
    assert not weather.failed
    assert hotel.failed
    assert told.failure is not None
    assert told.failure in (hotel.error_message or "")


def test_the_same_run_in_every_dialect(captured: Captured) -> None:
    """What every package that tells all of it says, side by side."""
    tellings = set()
    for name, told in RUNS.items():
        if told.arguments is None or told.failure != NO_ROOMS:
            continue
        run = captured(name)
        weather = first(run, SpanKind.TOOL, tool_name="get_weather")
        hotel = first(run, SpanKind.TOOL, tool_name="book_hotel")
        model = first(run, SpanKind.LLM)
        agent = first(run, SpanKind.AGENT)
        tellings.add(
            (
                (agent.agent_name or "").replace("_", "-"),
                model.model_requested,
                model.input_tokens,
                model.output_tokens,
                *(json.dumps(json.loads(call.tool_arguments or "")) for call in (weather, hotel)),
                weather.tool_result,
                weather.failed,
                hotel.failed,
                hotel.error_source,
            )
        )
    assert len(tellings) == 1
