"""One window, one scripted endpoint, and what a perfect analyst says."""

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from halo_otel.clock import ManualClock
from halo_otel.llm.budget import Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.privacy import Sent
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.toolbox import EnvironmentTools
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.talk.conversing import Tier
from halo_otel.redact.mask import mask
from halo_otel.selfobs import Counters
from tests.llm.server import MODEL, Reply, Scripted, says
from tests.recursion.environments import first

Json = dict[str, Any]


HOLDS = json.dumps({"verdict": "holds", "why": "it says so"})


def masked(text: str) -> str:
    return mask(text).text


class World:
    """One window, one endpoint."""

    def __init__(
        self, environment: Environment, server: Scripted, memory: Memory, sent: Path, **llm: Any
    ) -> None:
        self.server = server
        self.settings = server.settings(**llm)
        self.clock = ManualClock()
        self.budget = self.new_budget()
        model = Model(
            self.settings,
            Sent(sent, self.settings.sent_bytes),
            self.clock,
            Counters(),
            random.Random(1),
            lambda _: None,
        )
        self.tier = Tier(
            model=model,
            budget=self.budget,
            memory=memory,
            environment=environment,
            tools=EnvironmentTools(environment, self.settings.payloads),
            model_name=MODEL,
            turns=self.settings.max_turns,
            max_depth=self.settings.max_depth,
            map_groups=self.settings.map_groups,
        )

    def new_budget(self) -> Budget:
        periods = Periods(self.settings.budget.hour, self.settings.budget.day)
        return Budget.of(self.settings, self.clock, MemoryAccount(periods))


@asynccontextmanager
async def world(
    environment: Environment,
    script: Callable[[Json], Reply],
    sent: Path,
    memory: Memory | None = None,
    **llm: Any,
) -> AsyncIterator[World]:
    async with Scripted(script) as server:
        made = World(environment, server, memory or Memory(), sent, **llm)
        async with made.tier.model:
            yield made


def true_claim(environment: Environment) -> Json:
    """What a perfect analyst says of the failing bookings."""
    trace, span, error = environment.rows(
        "select trace_id, span_id, error from spans where tool = 'book' and failed"
        " order by trace_id limit 1"
    )[0]
    shown = "select trace_id from spans where tool = 'book' and failed"
    claim = true_claim_of(shown, trace, span, error, environment)
    (counted,), (quote,) = claim["predicates"], claim["quotes"]
    return {
        **claim,
        "subject": claim["subject"] | {"tool": "book"},
        "statement": f"In {counted['expected']} runs the tool book refuses the date it is given.",
        "quotes": [quote | {"field": "error"}],
        "severity": "error",
        "recommendation": "Check the date before the tool is called.",
    }


def true_claim_of(shown: str, trace: str, span: str, said: str, environment: Environment) -> Json:
    """A claim without its sentence: how many runs `shown` gives, and what the output of one of them says."""
    count = int(first(environment, f"select count(distinct trace_id) from ({shown})"))
    return {
        "subject": {"service": None, "agent": "booker", "tool": None, "model": None},
        "statement": "",
        "predicates": [
            {
                "sql": f"select count(distinct trace_id) from ({shown})",
                "parameters": [],
                "comparison": "=",
                "expected": count,
            }
        ],
        "spans": [{"trace_id": trace, "span_id": span}],
        "quotes": [{"trace_id": trace, "span_id": span, "field": "output", "text": said}],
        "contrast": {"sql": shown, "parameters": []},
        "causal": False,
        "edge": None,
        "severity": "warn",
        "recommendation": "Ask the tool whether the booking stands.",
    }


def is_second_look(request: Json) -> bool:
    return "refute" in json.dumps(request["messages"])


def analyst(*reports: Json, verdict: str = HOLDS) -> Callable[[Json], Reply]:
    """Reports at once, the first of `reports` first; looks a second time as `verdict` says."""
    waiting = list(reports)

    def script(request: Json) -> Reply:
        if is_second_look(request):
            return says(verdict)
        report = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return says(calls=(("report", report),))

    return script


def claims(*made: Json) -> Json:
    return {"claims": [{"claim": one} for one in made]}
