"""The model tier without a model: which requests would be the first ones, as they would leave.

The tier works as it does, over the files, with what it remembers; but each request is noted and refused, as if
the budget were empty. So there is no second list of what would be asked. What only an answer would bring about
(further turns, second looks, the look at the window as a whole) is not in it; the budget bounds that, too.
Nothing leaves, nothing is written, and neither key nor the package `openai` is needed.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Final

from halo_otel.agentspan.prices import PER_TOKENS
from halo_otel.clock import SystemClock
from halo_otel.config.llm import Llm
from halo_otel.config.sections import Config
from halo_otel.errors import BudgetExhausted
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Answer, Preview, Question
from halo_otel.llm.transport import OnText
from halo_otel.recursion.progress import Began, Ended, Event
from halo_otel.selfobs import Counters
from halo_otel.service.reasoning import Analysed, Parts, PriceOf, parts

_PART: Final = Began(about="a part of a run", title="a part of a run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A request that would leave."""

    about: str
    title: str
    role: str
    preview: Preview


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The first requests, and the most that all of them may come to; `cost_max` in USD, None where money has
    no limit and a price is unknown."""

    planned: tuple[Planned, ...]
    calls_max: int
    input_tokens_max: int
    output_tokens_max: int
    cost_max: float | None


class _Rehearsal(Model):
    """Notes what it is asked, and sends nothing. `streams`: conversations would be streamed."""

    def __init__(self, config: Config, of: Parts, *, streams: bool) -> None:
        clock, counters = SystemClock(), Counters()
        super().__init__(config.llm, of.sent, clock, counters, Random(), of.price_of, of.rules)
        self.planned: list[Planned] = []
        self._streams = streams
        self._began = ContextVar("about", default=_PART)

    async def __aenter__(self) -> "_Rehearsal":
        """Raises ConfigError where money is limited and a price unknown."""
        self._check_prices()
        return self

    async def ask(
        self, question: Question, budget: Budget, on_text: OnText | None = None
    ) -> Answer:
        """Always raises BudgetExhausted."""
        began = self._began.get()
        stream = self._streams and on_text is not None
        preview = await asyncio.to_thread(self.preview, question, stream=stream)
        self.planned.append(
            Planned(about=began.about, title=began.title, role=question.role, preview=preview)
        )
        raise BudgetExhausted("rehearsal", "nothing is sent in a rehearsal")

    def hear(self, event: Event) -> None:
        """Which conversation goes on in this task."""
        if isinstance(event, Began):
            self._began.set(event)
        elif isinstance(event, Ended):
            self._began.set(_PART)


async def rehearsed(
    files: Analysed, config: Config, question: str | None, *, streams: bool
) -> Rehearsed:
    """What would be asked about `files`. Raises ConfigError as the tier does."""
    llm = config.llm
    of = await asyncio.to_thread(parts, config, remembers=True)
    async with _Rehearsal(config, of, streams=streams) as model:
        tier = of.reasoning(config, model, SystemClock())
        await tier.deepen(files.view, files.report, files.judgements, question, model.hear)
    limits = llm.budget.window
    return Rehearsed(
        planned=tuple(model.planned),
        calls_max=limits.calls,
        input_tokens_max=limits.input_tokens,
        output_tokens_max=limits.output_tokens,
        cost_max=_cost_max(llm, of.price_of),
    )


def _cost_max(llm: Llm, price_of: PriceOf) -> float | None:
    """The limit of money, or what all tokens cost at the highest price of the models, if that is less."""
    limits = llm.budget.window
    bounds = [] if limits.cost is None else [limits.cost]
    models = {llm.model, llm.synthesis_model, llm.compaction_model} - {None}
    prices = [llm.prices.get(name) or price_of(name) for name in models if name]
    known = [price for price in prices if price]
    if len(known) == len(prices):
        sent = max(max(price.input, price.cache_write or 0) for price in known)
        written = max(price.output for price in known)
        tokens = limits.input_tokens * sent + limits.output_tokens * written
        bounds.append(tokens / PER_TOKENS)
    return min(bounds, default=None)
