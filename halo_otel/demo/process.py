"""Programs the demo starts and stops: halo-otel itself, and the real Collector where there is one."""

import asyncio
import contextlib
import http.client
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.errors import Unreachable

START_TIMEOUT_S: Final = 20
STOP_TIMEOUT_S: Final = 15
POLL_S: Final = 0.1
LOG_TAIL_LINES: Final = 15


class Program:
    """A child process in its own session, so that a Ctrl-C reaches only the demo, which stops it."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, variables: Mapping[str, str]
    ) -> None:
        self._name = name
        self._command = command
        self._log = log
        self._variables = variables
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Program":
        log = await asyncio.to_thread(self._log.open, "wb")
        with log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Nothing of this shell's environment: its HALO_… and OTEL_… variables are meant for
                # another service.
                env=dict(self._variables),
                start_new_session=True,
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def ready(self, address: str, path: str, clock: Clock) -> None:
        """Return once `http://address/path` answers 200. Raises Unreachable with its log's end."""
        deadline_ns = clock.now_ns() + START_TIMEOUT_S * NS_PER_S
        while not await asyncio.to_thread(_answers, address, path):
            assert self._process is not None
            if self._process.returncode is not None:
                raise Unreachable(f"{self._name} stopped again:\n{self._tail()}")
            if clock.now_ns() > deadline_ns:
                raise Unreachable(
                    f"{self._name} is not ready after {START_TIMEOUT_S} s:\n{self._tail()}"
                )
            await clock.sleep(POLL_S)

    def _tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:]) or "its log is empty"


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs `module` with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def python_variables() -> dict[str, str]:
    """The little environment a child of this interpreter needs to import what we import."""
    paths = [str(Path(one or ".").resolve()) for one in sys.path]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}


def free_ports(count: int) -> list[int]:
    """Ports of this machine nobody listens on right now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _answers(address: str, path: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
