"""The engine process: ingest, windows, analysis, findings, emission, and the control API.

It may be killed at any moment: journal, windows, registry and outbox are on disk, and everything in
memory is rebuilt from them.
"""

import asyncio
import ctypes
import logging
import os
import platform
import signal
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING

from halo_otel import __version__
from halo_otel.analysis.scheduler import Scheduler
from halo_otel.clock import Clock, SystemClock
from halo_otel.config.sections import Config
from halo_otel.control import traces
from halo_otel.control.server import ControlServer
from halo_otel.control.sources import ServiceStatus, Sources
from halo_otel.emitter.metrics import Metrics
from halo_otel.emitter.outbox import Emitter
from halo_otel.errors import HaloError, Permanent
from halo_otel.findings import Registry
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import JournalReader, oldest_offset, read_checkpoint
from halo_otel.llm.budget import Periods
from halo_otel.receiver.memory import trim
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import Counters, Reading
from halo_otel.service import logs
from halo_otel.service.analyst import Analyst
from halo_otel.service.link import Message, reason
from halo_otel.service.loading import collect_cycles_rarely
from halo_otel.service.process import Process
from halo_otel.service.redaction import redaction
from halo_otel.service.uplink import Uplink
from halo_otel.window.store import WindowStore

if TYPE_CHECKING:
    from halo_otel.service.thinker import Thinker

logger = logging.getLogger(__name__)

COUNTERS_INTERVAL_S = 1.0
# Windows end by the clock, also when nothing arrives.
IDLE_TICK_S = 1.0
# Requests that arrive while one batch is stored are stored together: a commit costs about 10 ms
# however many rows it holds.
GATHER_S = 0.05
# Journaled bytes after which freed memory is given back: to look for it takes tens of milliseconds.
TRIM_BYTES = 16 << 20


class _Stopped(Exception):
    """The front asked us to stop; ends the task group."""


class Engine:
    """Everything behind the journal."""

    def __init__(
        self,
        config: Config,
        uplink: Uplink,
        clock: Clock,
        counters: Counters,
        *,
        successor: bool = False,
    ) -> None:
        """`successor`: the engine before this one died by itself, and was not killed."""
        self._successor = successor
        self._config = config
        self._uplink = uplink
        self._clock = clock
        self._counters = counters
        self._process = Process("engine", clock, self._counters)
        self._front_counters: tuple[Reading, ...] = ()
        self._durable: int | None = None
        self._advanced = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self, control_target: str) -> None:
        """Work until the front says stop; then store what is journaled and close everything."""
        self._uplink.listen(self._on_message)
        config = self._config
        replica = config.registry.replica or platform.node()
        async with AsyncExitStack() as stack:
            redact = await asyncio.to_thread(redaction, config, self._counters)
            emit = config.emit if config.exporters.otlp.enabled else None
            registry = Registry(
                config.registry_url,
                emit,
                self._counters,
                replica=replica,
                settings=config.registry,
            )
            await asyncio.to_thread(registry.open)
            stack.push_async_callback(asyncio.to_thread, registry.close)
            store = WindowStore(config.window_directory, config.window, self._counters)
            await asyncio.to_thread(store.open)
            stack.push_async_callback(asyncio.to_thread, store.close)
            scheduler = Scheduler(store, config.analysis, self._counters)
            thinker = await self._thinker(stack, registry, store, redact.emit)
            analyst = await stack.enter_async_context(
                Analyst(
                    scheduler,
                    registry,
                    store,
                    config.analysis,
                    self._clock,
                    self._counters,
                    replica=replica,
                    window_s=config.window.length,
                    on_report=None if thinker is None else thinker.offer,
                    redact=redact.emit,
                )
            )
            emitter = await self._emission(stack, registry, replica, redact.emit)
            sources = self._sources(registry, store, analyst)
            await stack.enter_async_context(ControlServer(sources, self._clock, control_target))
            self._uplink.send(Message(ready=True))
            await self._work(store, analyst, emitter, thinker, redact.store)

    async def _thinker(
        self,
        stack: AsyncExitStack,
        registry: Registry,
        store: WindowStore,
        redact: Redactor | None,
    ) -> "Thinker | None":
        """The model tier; None unless `llm.model` is set."""
        config = self._config
        if config.llm.model is None:
            return None
        # A quarter of what an engine would import, and it needs none of it without a model.
        from halo_otel.service.reasoning import reasoning
        from halo_otel.service.thinker import Thinker

        account = registry.account(Periods(config.llm.budget.hour, config.llm.budget.day))
        tier = reasoning(config, self._clock, self._counters, remembers=True, account=account)
        return Thinker(
            await stack.enter_async_context(tier),
            registry,
            store,
            self._clock,
            self._counters,
            config.llm,
            lookback_s=config.analysis.lookback,
            redact=redact,
        )

    async def _emission(
        self, stack: AsyncExitStack, registry: Registry, replica: str, redact: Redactor | None
    ) -> Emitter | None:
        """Start what speaks to the Collector; None if `exporters.otlp.enabled` is off."""
        exporter = self._config.exporters.otlp
        if not exporter.enabled:
            return None
        self._counters.set("halo.emitter.outbox_capacity", self._config.emit.max_outbox)
        emitter = Emitter(registry, exporter, self._clock, self._counters, Random(), redact)
        metrics = Metrics(
            exporter,
            self.readings,
            self._counters,
            self._clock,
            interval_s=self._config.telemetry.metrics_interval,
            replica=replica,
            redact=redact,
        )
        await stack.enter_async_context(metrics)
        return await stack.enter_async_context(emitter)

    async def _work(
        self,
        store: WindowStore,
        analyst: Analyst,
        emitter: Emitter | None,
        thinker: "Thinker | None",
        redact: Redactor | None,
    ) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ingest(store, redact))
                tasks.create_task(self._compact(store))
                tasks.create_task(self._report_counters())
                tasks.create_task(analyst.run())
                if emitter is not None:
                    tasks.create_task(emitter.run())
                if thinker is not None:
                    tasks.create_task(thinker.run())
        except* _Stopped:
            pass

    async def _ingest(self, store: WindowStore, redact: Redactor | None) -> None:
        """Follow the journal as it becomes durable; at a stop store what is left, then end all."""
        await self._advanced.wait()  # the front has recovered the journal: it may be read
        if self._durable is None:
            raise _Stopped  # it could not
        directory = self._config.journal_directory
        # What a damaged window held is read again, as far as it is still there.
        oldest = oldest_offset if store.set_aside else read_checkpoint
        start = max(store.resume_offset, await asyncio.to_thread(oldest, directory))
        if start <= self._durable:  # else `tick` says what is wrong
            self._uplink.send(Message(checkpoint=start))
        reader = JournalReader(directory, start)
        ingest = Ingest(
            reader,
            store,
            self._counters,
            self._clock,
            successor=self._successor,
            redact=redact,
        )
        trimmed = start
        while True:
            self._advanced.clear()
            stopping = self._stop.is_set()
            durable = self._durable
            checkpoint = await asyncio.to_thread(ingest.tick, durable)
            if checkpoint is not None:
                self._uplink.send(Message(checkpoint=checkpoint))
                if checkpoint < durable:
                    continue  # more than one tick's worth is waiting
            if stopping:
                raise _Stopped
            if checkpoint is None and durable - trimmed >= TRIM_BYTES:
                await asyncio.to_thread(trim)  # so that memory_limiter sees what is free
                trimmed = durable
            await self._wait_for_more()

    async def _wait_for_more(self) -> None:
        try:
            async with asyncio.timeout(IDLE_TICK_S):
                await self._advanced.wait()
            await self._clock.sleep(GATHER_S)
        except TimeoutError:
            pass

    async def _compact(self, store: WindowStore) -> None:
        """Let go of what is about no agent. A window that cannot be written anew stays whole."""
        while True:
            again = False
            try:
                again = await asyncio.to_thread(store.compact)
            except HaloError as error:
                self._counters.add("halo.window.failed_compactions")
                logger.warning("%s", error)
            if not again:
                await self._clock.sleep(IDLE_TICK_S)

    async def _report_counters(self) -> None:
        while True:
            await asyncio.to_thread(self._process.measure)
            self._uplink.send(Message(counters=tuple(self._counters.snapshot())))
            await self._clock.sleep(COUNTERS_INTERVAL_S)

    def _on_message(self, message: Message) -> None:
        if message.durable is not None:
            self._durable = message.durable
            self._advanced.set()
        if message.arrival_ns is not None:
            self._clock.reach(message.arrival_ns)
        if message.counters is not None:
            self._front_counters = message.counters
        if message.stop:
            self._stop.set()
            self._advanced.set()

    def readings(self) -> list[Reading]:
        """The counters of both processes."""
        return [*self._front_counters, *self._counters.snapshot()]

    def _sources(self, registry: Registry, store: WindowStore, analyst: Analyst) -> Sources:
        return Sources(
            registry=registry,
            windows=store.windows,
            traces=lambda start_ns, limit: traces.of_window(store, start_ns, limit),
            tree=analyst.tree,
            session_tree=analyst.session_tree,
            analyze=analyst.analyze,
            report=lambda: analyst.latest,
            status=self._status,
        )

    def _status(self) -> ServiceStatus:
        readings = self.readings()
        values = {reading.name: reading.value for reading in readings}
        return ServiceStatus(
            version=__version__,
            ready=True,
            lag_s=values.get("halo.window.lag_seconds", 0.0),
            backlog_bytes=int(values.get("halo.journal.bytes", 0)),
            readings=tuple(readings),
        )


def _die_with_parent() -> None:
    """Have the kernel kill us when the front dies (Linux); elsewhere the closed pipe does it."""
    pr_set_pdeathsig = 1  # linux/prctl.h
    try:
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    except (OSError, AttributeError):
        logger.debug("no prctl here: the closed pipe ends this process instead")


def main() -> None:
    """Entry of the child process; the first line of standard input is the configuration."""
    _die_with_parent()
    collect_cycles_rarely()
    uplink = Uplink()
    first = uplink.first()
    if first.stop:  # the front could not start
        return
    config = Config.model_validate(first.config)
    clock = SystemClock(first.arrival_ns)
    counters = Counters(clock.now_ns())
    logs.configure("engine", config.telemetry, counters)
    assert first.control_target is not None
    try:
        engine = Engine(config, uplink, clock, counters, successor=first.successor)
        asyncio.run(engine.run(first.control_target))
    except Exception as error:
        why = reason(error)
        if isinstance(why, HaloError):
            uplink.send(Message(failure=str(why), permanent=isinstance(why, Permanent)))
        else:
            logger.critical("the engine failed", exc_info=why)
        os._exit(1)
    # A run that was left behind at the stop must not hold up the exit: everything is on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
