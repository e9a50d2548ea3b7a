"""uvicorn as a component of our event loop, behind a `Door`."""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from halo_otel.config.transport import HttpListener
from halo_otel.receiver.connection import Connection
from halo_otel.receiver.door import Door
from halo_otel.receiver.endpoint import listen

logger = logging.getLogger(__name__)

# Requests that are being answered may finish; what is cut off then is sent again by the sender.
STOP_TIMEOUT_S: Final = 5
# As asyncio's own servers wait when there are no file descriptors left (`ACCEPT_RETRY_DELAY`).
_ACCEPT_PAUSE_S: Final = 1


class AsgiServer:
    """Serves `app` behind `door`; async context manager, stop is safe twice and unstarted.

    If uvicorn fails while it serves, the task that entered is cancelled and the error raised.
    """

    def __init__(self, app: ASGIApp, config: HttpListener, door: Door) -> None:
        self._app = app
        self._config = config
        self._door = door
        self._port = 0
        self._server: _Server | None = None
        self._tasks = asyncio.TaskGroup()

    @property
    def port(self) -> int:
        """The port that is listened on, also when port 0 was configured."""
        return self._port

    async def __aenter__(self) -> "AsgiServer":
        config = uvicorn.Config(
            self._app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=round(self._config.idle_timeout),
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        config.load()  # here, so that its errors are raised here
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._door)
            key = f"{self._door.key}.endpoint"
            sockets = await asyncio.to_thread(listen, self._config.endpoint, key)
            stack.pop_all()
        self._port = sockets[0].getsockname()[1]
        self._server = _Server(config, self._config, self._door, self._tasks)
        await self._tasks.__aenter__()
        self._tasks.create_task(self._server.serve(sockets))
        await self._server.listening.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.should_exit = True
        # The group is told of no error, so that it waits for uvicorn's own orderly end.
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            await self._door.__aexit__(None, None, None)


class _Server(uvicorn.Server):
    """uvicorn that accepts by itself, says when it listens and leaves signals to the service.

    asyncio's servers count nothing, know one certificate for good and tell nobody of a handshake
    that failed; so connections are accepted here.
    """

    def __init__(
        self, config: uvicorn.Config, limits: HttpListener, door: Door, tasks: asyncio.TaskGroup
    ) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._limits = limits
        self._door = door
        self._tasks = tasks
        self._open = 0
        self._accepting: list[asyncio.Task[None]] = []
        self._greeting: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self.servers = []
        listeners = sockets or ()
        self._accepting = [self._tasks.create_task(self._accept(one)) for one in listeners]
        self.started = True
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._accepting:
            task.cancel()
        await asyncio.sleep(0)  # what was accepted a moment ago is being greeted now
        for task in self._greeting:
            task.cancel()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Gone again before we came to it, or no file descriptors: both pass.
                logger.warning("no connection can be accepted for a moment: %s", error.strerror)
                self._door.count_closed("accept")
                await asyncio.sleep(_ACCEPT_PAUSE_S)
                continue
            if self._open >= self._limits.max_connections:
                self._door.count_closed("too_many")
                accepted.close()
                continue
            self._open += 1
            greeting = self._tasks.create_task(self._greet(accepted))
            self._greeting.add(greeting)
            greeting.add_done_callback(self._greeting.discard)

    async def _greet(self, accepted: socket.socket) -> None:
        """Make a connection of a socket; with TLS once its handshake is done."""
        identity = self._door.identity
        protocol = functools.partial(
            Connection,
            self._limits,
            self._door.count_closed,
            self._ended,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        made = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol,
                accepted,
                ssl=None if identity is None else identity.context,
                ssl_handshake_timeout=None if identity is None else self._limits.handshake_timeout,
            )
            made = True
        except OSError:  # among them TLS errors and a handshake that took too long
            self._door.count_closed("handshake")
        finally:
            if not made:
                self._ended()

    def _ended(self) -> None:
        self._open -= 1
