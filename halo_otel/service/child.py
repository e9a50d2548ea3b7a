"""The engine as the front sees it: a child process behind two pipes."""

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from halo_otel.config.load import preset_variable
from halo_otel.service.link import LINE_BYTES_MAX, Message

logger = logging.getLogger(__name__)

# A stopping engine finishes its ingest tick and its transaction; what it leaves stays journaled.
STOP_TIMEOUT_S = 20.0
# Most of what an analysis takes is free again afterwards, and then the system is to have it back (mallopt(3)):
# two heaps, not one for each thread, what is larger than 128 KiB in pages of its own also after such were
# freed, and no heap of Arrow's own. 231 MiB became 184 at 100 spans/s, for 3 % of the time (measured).
_FRUGAL: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How an engine ended by itself; `failure` is what it told of it, if it could."""

    code: int  # minus the signal's number if one killed it (subprocess.Popen.returncode)
    failure: str | None = None
    permanent: bool = False  # it would fail the same way again

    def __str__(self) -> str:
        return self.failure or f"the engine process ended with code {self.code}"


class EngineChild:
    """One engine process: starts it, passes messages, and notices its end."""

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self) -> None:
        """Start the process: it imports, and touches nothing before it is sent its configuration."""
        for name, value in _FRUGAL.items():
            preset_variable(name, value)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "halo_otel.service.engine",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            # A Ctrl-C in a terminal goes to the whole group: the engine is to stop through its
            # pipe, after the front has refused new data.
            start_new_session=True,
        )

    def send(self, message: Message) -> None:
        """Queue a message; messages to a dead engine vanish, `run` reports the death."""
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return
        process.stdin.write(message.line())

    async def run(self) -> Death | None:
        """Pass on messages until the engine ends; None if it was asked to."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        last = Message()
        while line := await process.stdout.readline():
            message = Message.parse(line)
            if message.failure is not None:
                last = message
            self._on_message(message)
        code = await process.wait()
        if self._stopping:
            return None
        return Death(code=code, failure=last.failure, permanent=last.permanent)

    def kill(self) -> None:
        """End it at once; as safe as any crash."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """Ask the engine to finish, wait, kill it when it does not. Safe twice and unstarted."""
        process = self._process
        self._stopping = True
        if process is None or process.returncode is not None:
            return
        self.send(Message(stop=True))
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            logger.warning("the engine did not stop within %.0f s: killed", STOP_TIMEOUT_S)
            process.kill()
            await process.wait()
