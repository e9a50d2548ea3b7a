"""The analyst of a running service over many windows: real windows on disk, a real registry, a hand-moved clock."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

from halo_otel.analysis.change.monitor import RECENT_WINDOWS, WARM_UP
from halo_otel.analysis.scheduler import Scheduler
from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.findings import Query, Registry
from halo_otel.model.cell import CellCount
from halo_otel.model.finding import Finding, Severity, Status
from halo_otel.selfobs import Counters
from halo_otel.service.analyst import Analyst
from halo_otel.window.store import WindowStore
from tests.analysis.conftest import Row, Traffic, batch

WINDOW_S = 300
RUNS = 30
PAST = WARM_UP + RECENT_WINDOWS
SETTINGS = sections.Analysis(lookback=2 * WINDOW_S, trace_settle=0)


class Service:
    """Window after window of one agent's runs; `restart` leaves only what stands on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.clock.advance(WINDOW_S - self.clock.now_ns() // 10**9 % WINDOW_S)
        self.traffic = Traffic()
        self._offset = 0
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        counters = Counters()
        store = WindowStore(self.directory, sections.Window(length=WINDOW_S), counters)
        registry = Registry(f"sqlite:///{self.directory / 'registry.db'}", None, counters)
        store.open()
        self._stack.callback(store.close)
        registry.open()
        self._stack.callback(registry.close)
        self.store, self.registry = store, registry
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
            )
        )
        await self.analyst.tick(self.clock.now_ns())

    async def stop(self) -> None:
        await self._stack.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def window(self, failing: int) -> None:
        """A window in which the tool `pay` fails in `failing` of the runs, and fails them."""
        self._arrive(failing)
        self.clock.advance(WINDOW_S)
        self.store.seal_before(self.clock.now_ns())
        self.store.expire(self.clock.now_ns())
        await self.analyst.tick(self.clock.now_ns())

    def _arrive(self, failing: int) -> None:
        arrival_ns = self.clock.now_ns() + WINDOW_S * 10**9 // 2
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


def quiet_past(before_ns: int) -> list[CellCount]:
    """What an earlier process counted: one run in thirty fails at `pay`."""
    return [
        CellCount(
            window_start_ns=before_ns - number * WINDOW_S * 10**9,
            cell=json.dumps(cell, separators=(",", ":")),
            exposed=RUNS,
            affected=number % 3 == 0,
            odd=False,
        )
        for number in range(1, PAST + 1)
        for cell in (["runs", "shop", "booker"], ["calls", "shop", "booker", "pay"])
    ]


async def test_a_regression_is_told_survives_a_restart_and_is_over_when_it_is(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path)
    await service.start()
    service.registry.record_cells(quiet_past(service.clock.now_ns()))
    await service.restart()
    await service.window(failing=1)
    assert not service.findings("regression")

    await service.window(failing=15)
    (regression,) = service.findings("regression")
    assert regression.status is Status.NEW
    assert regression.severity is Severity.ERROR
    assert regression.subject.tool == "pay"
    # What a start finds counts with its first window.
    assert regression.impact.traces_affected == 1 + 15

    await service.restart()
    await service.window(failing=14)
    (later,) = service.findings("regression")
    assert later.fingerprint == regression.fingerprint
    assert later.status is Status.NEW  # never resolved in between, and new for three windows
    assert later.windows_seen == 2

    for _ in range(4):
        await service.window(failing=0)
    (over,) = service.findings("regression")
    assert over.status is Status.RESOLVED
    await service.stop()
