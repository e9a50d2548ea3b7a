"""The model tier, put together from the configuration."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random

from halo_otel.agentspan.prices import load_prices
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import extend
from halo_otel.clock import Clock, SystemClock
from halo_otel.config.sections import Config
from halo_otel.importers.files import OnBad
from halo_otel.llm.budget import Account, Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.privacy import Sent
from halo_otel.model.report import Report
from halo_otel.recursion.deepen import Deepened, Tier, deepen
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.toolbox import EnvironmentTools, shown_as
from halo_otel.selfobs import Counters
from halo_otel.service.offline import OnProgress, loaded
from halo_otel.window.view import View


class Reasoning:
    """Deepens reports, one at a time; made by `reasoning`."""

    def __init__(
        self, config: Config, model: Model, memory: Memory, account: Account, clock: Clock
    ) -> None:
        self._llm = config.llm
        self._model = model
        self._memory = memory
        self._account = account
        self._clock = clock

    async def deepen(
        self,
        view: View,
        report: Report,
        judgements: Sequence[Judgement],
        question: str | None = None,
    ) -> Deepened:
        """`report` on `view`, deepened within the budget of one window; see `recursion.deepen`."""
        llm = self._llm
        environment = Environment(view, report, judgements, shown=shown_as(llm.payloads))
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, environment)
            tier = Tier(
                model=self._model,
                budget=Budget.of(llm, self._clock, self._account),
                memory=self._memory,
                environment=environment,
                tools=EnvironmentTools(environment, llm.payloads),
                model_name=llm.model or "",
                turns=llm.max_turns,
            )
            return await deepen(tier, question)


@asynccontextmanager
async def reasoning(
    config: Config, clock: Clock, counters: Counters, *, remembers: bool
) -> AsyncIterator[Reasoning]:
    """The tier while its connections are open. `remembers`: answers are kept in the storage directory.

    Raises ConfigError: no model, the extra is not installed, or money is limited and a price is unknown.
    """
    llm = config.llm
    prices = load_prices(config.window.prices_file)
    account = MemoryAccount(Periods(llm.budget.hour, llm.budget.day))
    memory = Memory(config.llm_memory_file if remembers else None)
    sent = Sent(config.llm_sent_file, llm.sent_bytes)
    async with Model(llm, sent, clock, counters, Random(), prices.of) as model:
        yield Reasoning(config, model, memory, account, clock)


def deepen_files(
    paths: Sequence[Path],
    config: Config,
    on_progress: OnProgress,
    on_bad: OnBad,
    question: str | None = None,
) -> Deepened:
    """As `analyze_files`, then the model tier over it, and an answer to `question`.

    Raises BadFile, ConfigError, and what the model's endpoint cannot do.
    """
    with loaded(paths, on_progress, on_bad, config.window) as view:
        until_ns = max((info.end_ns for info in view.windows), default=0)
        lookback = Lookback()
        run = extend(lookback, view, settings=config.analysis, until_ns=until_ns, offline=True)
        judgements = lookback.judgements()

        async def deepened() -> Deepened:
            async with reasoning(config, SystemClock(), Counters(), remembers=True) as tier:
                return await tier.deepen(view, run.report, judgements, question)

        return asyncio.run(deepened())
