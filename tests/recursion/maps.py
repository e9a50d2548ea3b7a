"""A window of answers, an endpoint that says of each what the script says, and `map` between them."""

import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from halo_otel.clock import ManualClock
from halo_otel.llm.budget import Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.privacy import Sent
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply as Told
from halo_otel.recursion.environment.toolbox import EnvironmentTools
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.talk.mapping import MapTools
from halo_otel.selfobs import Counters
from tests.llm.server import MODEL, Json, Reply, Scripted, says
from tests.recursion.environments import bookings, environment_of

BAD, GOOD = 10, 20
QUESTION = "Is the date refused?"
SQL = "select trace_id, arguments, error, result from spans where tool = 'book' and is_call order by 1"
ASKED: Json = {"question": QUESTION, "sql": SQL, "answers": ["yes", "no"]}


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    """Thirty bookings, of which ten are refused for their date."""
    with environment_of(bookings(GOOD, BAD).rows) as environment:
        yield environment


def answer(value: object, quote: str | None = None, **more: Any) -> Reply:
    return says(json.dumps({"answer": value, "quote": quote}), **more)


def data_of(request: Json) -> str:
    """The rows as the sub-model sees them."""
    texts = [message["content"] for message in request["messages"] if message["role"] == "user"]
    return str(texts[1])


def honest(request: Json) -> Reply:
    is_refused = "is not valid" in data_of(request)
    return answer("yes" if is_refused else "no", "is not valid" if is_refused else None)


@dataclass
class World:
    """One conversation that may map."""

    tools: MapTools
    server: Scripted
    budget: Budget

    async def map(self, **changes: object) -> Told:
        return await self.tools.map({**ASKED, **changes})

    def table(self, sql: str, reply: Told) -> list[tuple[Any, ...]]:
        """Rows of a query, in which `map` is the table of `reply`."""
        asked = sql.replace("map", table_of(reply), 1)
        return list(self.tools.environment.database.ask(asked).rows)


def table_of(reply: Told) -> str:
    found = re.search(r'"table":"(map_[0-9a-f]{8})\(', reply.text)
    assert found, reply.text
    return found[1]


def head_of(reply: Told) -> Json:
    """The line that tells of the table as a whole."""
    told: Json = json.loads(reply.text.splitlines()[2])
    return told


@asynccontextmanager
async def conversation(
    environment: Environment,
    sent: Path,
    *script: Reply | Callable[[Json], Reply],
    memory: Memory | None = None,
    groups_max: int = 1000,
    **llm: Any,
) -> AsyncIterator[World]:
    async with Scripted(*script) as server:
        settings = server.settings(**llm)
        clock = ManualClock()
        account = MemoryAccount(Periods(settings.budget.hour, settings.budget.day))
        budget = Budget.of(settings, clock, account)
        left = Sent(sent, settings.sent_bytes)
        draw = random.Random(1)
        async with Model(settings, left, clock, Counters(), draw, lambda _: None) as model:
            tools = MapTools(
                environment_tools=EnvironmentTools(environment, settings.payloads),
                environment=environment,
                model=model,
                model_name=MODEL,
                budget=budget,
                memory=memory or Memory(),
                groups_max=groups_max,
            )
            yield World(tools, server, budget)


@pytest.fixture
def mapping(environment: Environment, tmp_path: Path) -> Callable[..., Any]:
    """`async with mapping(script, …) as world`."""

    def start(*script: Any, environment: Environment = environment, **more: Any) -> Any:
        return conversation(environment, tmp_path / "sent.jsonl", *script, **more)

    return start
