"""Keeps an engine running behind the front, whatever becomes of it.

    start ─▶ ready ─▶ dead ─▶ pause: 1 s, 2 s, 4 s … 60 s ─▶ start
                        └─▶ the service ends: the failure is permanent, or the first start failed

While there is no engine the front goes on acknowledging into the journal, up to `journal.max_bytes`.
An engine that stands still, data before it, is killed and so started again.
"""

import logging
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.errors import Permanent
from halo_otel.selfobs import Counters
from halo_otel.service.child import Death, EngineChild
from halo_otel.service.link import Message

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
PAUSE_S_MAX: Final = 60.0
# An engine that was ready for so long did not fail at once: the next pause is the first again.
STEADY_S: Final = 120.0
STALL_STEP_S: Final = 1.0


class EngineDied(Permanent):
    """The engine process ended by itself and would do so again; its own log lines say why."""


class Keeper:
    """The engine of the moment. `run` and `watch` are tasks of the front's group.

    Messages to an engine that is not there vanish; what a new one has to know is sent to it first.
    """

    def __init__(
        self,
        on_message: Callable[[Message], None],
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._on_message = on_message
        self._clock = clock
        self._counters = counters
        self._first = Message()
        self._prepare: Callable[[], None] | None = None
        self._durable = 0
        self._checkpoint = 0
        self._ready_ns: int | None = None  # since when this engine is; None: it is not
        self._was_ready = False
        self._death: Death | None = None
        self._hung = False  # this engine stood still, and was killed for it
        self._engine = EngineChild(self.take)

    @property
    def missing(self) -> str | None:
        """Why there is no engine at work, None if there is one."""
        if self._ready_ns is not None:
            return None
        if self._death is None:
            return "the engine is starting"
        return f"the engine is started again, for it ended: {self._death}"

    @property
    def pid(self) -> int | None:
        """Of the engine's process, while there is one."""
        return self._engine.pid

    async def start(self) -> None:
        """Start the first process, which imports and waits for `begin`."""
        await self._engine.start()

    def begin(self, first: Message, prepare: Callable[[], None]) -> None:
        """Have the engine work, and each one after it, with the configuration in `first`.

        `prepare` is called before each one begins.
        """
        self._first, self._prepare = first, prepare
        prepare()
        self._engine.send(first)

    def tell_durable(self, offset: int) -> None:
        """The journal is durable up to `offset`."""
        self._durable = offset
        self._engine.send(Message(durable=offset))

    def send(self, message: Message) -> None:
        """Tell the engine of the moment."""
        self._engine.send(message)

    async def run(self) -> None:
        """Pass on messages and start an engine again that dies; returns after `stop`.

        Raises EngineDied when another start would not help. Nothing acknowledged is lost by that, it
        is in the journal.
        """
        pause_s = FIRST_PAUSE_S
        while (death := await self._engine.run()) is not None:
            if self._lived_s() >= STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._death, self._ready_ns = death, None
            # Who cannot say why it ended was killed, as by the kernel for its memory.
            if death.permanent or not (self._was_ready or death.code < 0):
                raise EngineDied(
                    f"{death}: see its log lines above; everything acknowledged is in the journal"
                    " and is read again at the next start"
                    if death.failure is None
                    else death.failure
                )
            self._counters.add("halo.engine.restarts")
            logger.error("%s; the engine is started again in %.0f s", death, pause_s)
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
            # SIGKILL comes from outside: what was under way need not be why.
            await self._start_again(by_itself=self._hung or death.code != -signal.SIGKILL)

    async def watch(self, stall_s: float) -> None:
        """Kill an engine that commits nothing for `stall_s` although the journal has more.

        Seconds are counted by waking up, so neither a clock that is set nor a machine that sleeps
        looks like standing still.
        """
        still_s = 0.0
        before = self._checkpoint
        while True:
            await self._clock.sleep(STALL_STEP_S)
            waits = self.missing is None and self._checkpoint < self._durable
            still_s = still_s + STALL_STEP_S if waits and self._checkpoint == before else 0.0
            before = self._checkpoint
            if still_s >= stall_s:
                logger.error("the engine has stored nothing for %.0f s: killed", still_s)
                self._hung = True
                self._engine.kill()
                still_s = 0.0

    def kill(self) -> None:
        """End the engine at once."""
        self._engine.kill()

    async def stop(self) -> None:
        """Ask the engine to finish, and see to it that it does. Safe twice and unstarted."""
        await self._engine.stop()

    async def _start_again(self, *, by_itself: bool) -> None:
        assert self._prepare is not None, "begin first"
        self._prepare()
        self._hung = False
        self._engine = EngineChild(self.take)
        await self._engine.start()
        self._engine.send(
            replace(self._first, successor=by_itself, arrival_ns=self._clock.arrival_ns())
        )
        self._engine.send(Message(durable=self._durable))

    def _lived_s(self) -> float:
        if self._ready_ns is None:
            return 0.0
        return (self._clock.arrival_ns() - self._ready_ns) / NS_PER_S

    def take(self, message: Message) -> None:
        """What the front does with each message of an engine: remember, and pass on."""
        if message.ready:
            self._ready_ns = self._clock.arrival_ns()
            self._was_ready = True
        if message.checkpoint is not None:
            self._checkpoint = message.checkpoint
        self._on_message(message)
