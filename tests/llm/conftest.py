"""A model tier around the scripted endpoint."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config.llm import Llm, Price
from halo_otel.llm.budget import Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Answer, Message, Question, Schema, Tool
from halo_otel.llm.privacy import Sent
from halo_otel.selfobs import Counters
from tests.llm.server import MODEL, Reply, Script, Scripted

LOOK = Tool(
    name="look",
    description="Look at a trace.",
    parameters={"type": "object", "properties": {"trace": {"type": "string"}}},
)
VERDICT = Schema(
    name="verdict",
    schema={
        "type": "object",
        "properties": {"cause": {"type": "string"}},
        "required": ["cause"],
        "additionalProperties": False,
    },
)


class Tier:
    """One model, one budget, one endpoint."""

    def __init__(self, server: Scripted, settings: Llm, sent: Path, clock: ManualClock) -> None:
        self.server = server
        self.settings = settings
        self.sent = sent
        self.clock = clock
        self.counters = Counters()
        self.account = MemoryAccount(Periods(settings.budget.hour, settings.budget.day))
        self.budget = Budget.of(settings, clock, self.account)
        self.model = Model(
            settings,
            Sent(sent, settings.sent_bytes),
            clock,
            self.counters,
            random.Random(7),
            {MODEL: Price(input=1, output=4, cache_read=0.5)}.get,
        )

    async def ask(self, text: str = "why?", **more: Any) -> Answer:
        on_text = more.pop("on_text", None)
        question = Question(messages=(Message.system("Be brief."), Message.user(text)), **more)
        return await self.model.ask(question, self.budget, on_text)

    def count(self, name: str, **attributes: str) -> float:
        return self.counters.value(f"halo.llm.{name}", **attributes)


Start: TypeAlias = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(reply, …, setting=…) as tier`."""

    @asynccontextmanager
    async def start(*script: Reply | Script, **settings: Any) -> AsyncIterator[Tier]:
        async with Scripted(*script) as server:
            tier = Tier(server, server.settings(**settings), tmp_path / "sent.jsonl", ManualClock())
            async with tier.model:
                yield tier

    return start
