"""The engine's analysis over many windows, by hand: real windows on disk, a real registry, a clock that is moved."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from halo_otel.analysis.scheduler import Scheduler
from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.config.llm import Llm
from halo_otel.config.sections import Config
from halo_otel.findings import Query, Registry
from halo_otel.llm.budget import Periods
from halo_otel.model.finding import Finding
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import Counters
from halo_otel.service.analyst import Analyst
from halo_otel.service.reasoning import reasoning
from halo_otel.service.thinker import Thinker
from halo_otel.window.store import WindowStore
from tests.analysis.conftest import Row, Traffic, batch

WINDOW_S = 300
RUNS = 30
SETTINGS = sections.Analysis(lookback=2 * WINDOW_S, trace_settle=0)


class Service:
    """Window after window of one agent's runs; `restart` leaves only what stands on disk."""

    def __init__(
        self,
        directory: Path,
        llm: Llm | None = None,
        *,
        registry_url: str | None = None,
        redact: Redactor | None = None,
    ) -> None:
        self._redact = redact
        self.directory = directory
        self._registry_url = registry_url or f"sqlite:///{directory / 'registry.db'}"
        self._llm = llm
        self.thinker: Thinker | None = None
        self.clock = ManualClock()
        self.clock.advance(WINDOW_S - self.clock.now_ns() // 10**9 % WINDOW_S)
        self.traffic = Traffic()
        self._offset = 0
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        counters = Counters()
        store = WindowStore(self.directory, sections.Window(length=WINDOW_S), counters)
        registry = Registry(self._registry_url, None, counters)
        store.open()
        self._stack.callback(store.close)
        registry.open()
        self._stack.callback(registry.close)
        self.store, self.registry = store, registry
        self.counters = counters
        if self._llm is not None:
            self.thinker = await self._thinking(self._llm)
        self.analyst = await self._stack.enter_async_context(
            Analyst(
                Scheduler(store, SETTINGS, counters),
                registry,
                store,
                SETTINGS,
                self.clock,
                counters,
                replica="one",
                window_s=WINDOW_S,
                on_report=self.thinker.offer if self.thinker else None,
                redact=self._redact,
            )
        )
        await self.analyst.tick(self.clock.now_ns())

    async def _thinking(self, llm: Llm) -> Thinker:
        config = Config(llm=llm, storage=sections.Storage(directory=self.directory))
        account = self.registry.account(Periods(llm.budget.hour, llm.budget.day))
        tier = reasoning(config, self.clock, self.counters, remembers=True, account=account)
        return Thinker(
            await self._stack.enter_async_context(tier),
            self.registry,
            self.store,
            self.clock,
            self.counters,
            llm,
            lookback_s=SETTINGS.lookback,
        )

    async def think(self) -> None:
        """What the model tier does between two windows."""
        assert self.thinker is not None
        await asyncio.sleep(0)  # what was offered from the thread arrives
        await self.thinker.tick()

    async def stop(self) -> None:
        await self._stack.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def window(self, failing: int) -> None:
        """A window in which the tool `pay` fails in `failing` of the runs, and fails them."""
        self.arrive(failing)
        self.pass_window()
        await self.analyst.tick(self.clock.arrival_ns())

    def pass_window(self) -> None:
        """The window ends."""
        self.clock.advance(WINDOW_S)
        self.store.seal_before(self.clock.arrival_ns())
        self.store.expire(self.clock.arrival_ns())

    def arrive(self, failing: int) -> None:
        """The spans of such a window come in."""
        arrival_ns = self.clock.arrival_ns() + WINDOW_S * 10**9 // 2
        begun = len(self.traffic.runs)
        for number in range(RUNS):
            fails = number < failing
            run = self.traffic.run(outcome=not fails)
            error = "PayError: card service down" if fails else None
            run.call("pay", {"n": run.trace_id}, f"paid {run.trace_id}", error=error).turn()
        rows: list[Row] = []
        for row in (row for run in self.traffic.runs[begun:] for row in run.rows):
            self._offset += 1
            rows.append({**row, "arrival_ns": arrival_ns, "position": self._offset})
        self.store.insert(self.store.start_of(arrival_ns), batch(rows), self._offset)

    def findings(self, category: str) -> list[Finding]:
        return self.registry.findings(Query(category=category))
