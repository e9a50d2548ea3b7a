"""The model tier, put together from the configuration."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

from halo_otel.agentspan.prices import load_prices
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import extend
from halo_otel.clock import Clock, SystemClock
from halo_otel.codebase.tree import Codebase
from halo_otel.config.llm import Price
from halo_otel.config.sections import Config
from halo_otel.importers.files import OnBad
from halo_otel.llm.budget import Account, Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.privacy import Sent
from halo_otel.model.report import Report
from halo_otel.recursion.deepen import Deepened, deepen
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.toolbox import EnvironmentTools, shown_as
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.plan import clusters_of
from halo_otel.recursion.progress import Listener, heard
from halo_otel.recursion.talk.conversing import Tier
from halo_otel.redact.mask import Rules
from halo_otel.selfobs import Counters
from halo_otel.service.offline import OnProgress, loaded
from halo_otel.service.threads import in_thread
from halo_otel.service.tracing import Tracing
from halo_otel.window.view import View

PriceOf: TypeAlias = Callable[[str], Price | None]


class Reasoning:
    """Deepens reports, one at a time; made by `reasoning`."""

    def __init__(
        self,
        config: Config,
        model: Model,
        memory: Memory,
        account: Account,
        clock: Clock,
        tracing: Tracing | None = None,
        code: Codebase | None = None,
    ) -> None:
        self._llm = config.llm
        self._model = model
        self._memory = memory
        self._account = account
        self._clock = clock
        self._tracing = tracing
        self._code = code

    async def deepen(
        self,
        view: View,
        report: Report,
        judgements: Sequence[Judgement],
        question: str | None = None,
        listen: Listener | None = None,
    ) -> Deepened:
        """`report` on `view`, deepened within the budget of one window; see `recursion.deepen`."""
        llm = self._llm
        environment = Environment(
            view,
            report,
            judgements,
            shown=shown_as(llm.payloads, self._model.rules),
            code=self._code,
        )
        if question is None and not await asyncio.to_thread(clusters_of, environment):
            return Deepened(report=report)  # nothing to look at: what is not copied costs nothing
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(in_thread(environment))
            if self._tracing:
                listen = stack.enter_context(self._tracing.window(question, listen))
            tier = Tier(
                model=heard(self._model, listen) if listen else self._model,
                budget=Budget.of(llm, self._clock, self._account),
                memory=self._memory,
                environment=environment,
                tools=EnvironmentTools(environment, llm.payloads),
                model_name=llm.model or "",
                turns=llm.max_turns,
                max_depth=llm.max_depth,
                map_groups=llm.map_groups,
                listen=listen,
            )
            return await deepen(tier, question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the tier works with besides a model."""

    price_of: PriceOf
    account: Account
    memory: Memory
    sent: Sent
    rules: Rules
    code: Codebase | None

    def reasoning(
        self, config: Config, model: Model, clock: Clock, tracing: Tracing | None = None
    ) -> Reasoning:
        """The tier over `model`."""
        return Reasoning(config, model, self.memory, self.account, clock, tracing, self.code)


def parts(config: Config, *, remembers: bool, account: Account | None = None) -> Parts:
    """From the configuration; see `reasoning`. Blocks. Raises ConfigError: `llm.code` cannot be looked at."""
    llm = config.llm
    return Parts(
        price_of=load_prices(config.window.prices_file).of,
        account=account or MemoryAccount(Periods(llm.budget.hour, llm.budget.day)),
        memory=Memory(config.llm_memory_file if remembers else None),
        sent=Sent(config.llm_sent_file, llm.sent_bytes),
        rules=Rules.usual(config.redaction.custom),
        code=None if llm.code is None else Codebase.open(llm.code),
    )


@asynccontextmanager
async def reasoning(
    config: Config,
    clock: Clock,
    counters: Counters,
    *,
    remembers: bool,
    account: Account | None = None,
) -> AsyncIterator[Reasoning]:
    """The tier while its connections are open. `remembers`: answers are kept in the storage directory.
    Without an `account`, one of this process alone.

    Raises ConfigError: no model, `llm.code` cannot be looked at, the extra is not installed, or money is limited and a price is unknown.
    """
    llm = config.llm
    of = await asyncio.to_thread(parts, config, remembers=remembers, account=account)
    async with AsyncExitStack() as stack:
        model = Model(llm, of.sent, clock, counters, Random(), of.price_of, of.rules)
        await stack.enter_async_context(model)
        tracing = Tracing(llm, clock, counters, of.rules) if llm.telemetry else None
        if tracing:
            await stack.enter_async_context(tracing)
        yield of.reasoning(config, model, clock, tracing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """Files, after the deterministic tier."""

    view: View
    report: Report
    judgements: Sequence[Judgement]


@contextmanager
def analysed(
    paths: Sequence[Path], config: Config, on_progress: OnProgress, on_bad: OnBad
) -> Iterator[Analysed]:
    """As `analyze_files`, with what the model tier needs besides. Raises BadFile."""
    with loaded(paths, on_progress, on_bad, config.window) as view:
        until_ns = max((info.end_ns for info in view.windows), default=0)
        lookback = Lookback()
        run = extend(lookback, view, settings=config.analysis, until_ns=until_ns, offline=True)
        yield Analysed(view=view, report=run.report, judgements=lookback.judgements())


async def deepened(
    files: Analysed,
    config: Config,
    question: str | None = None,
    listen: Listener | None = None,
) -> Deepened:
    """What the model adds to the report on `files`, and its answer to `question`.

    Raises ConfigError, and what the model's endpoint cannot do.
    """
    async with reasoning(config, SystemClock(), Counters(), remembers=True) as tier:
        return await tier.deepen(files.view, files.report, files.judgements, question, listen)
