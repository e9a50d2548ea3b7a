"""uvicorn as a component of our event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from halo_otel.receiver.endpoint import listen

# Requests that are being answered may finish; what is cut off then is sent again by the sender.
STOP_TIMEOUT_S: Final = 5
# The Collector's own HTTP servers close idle connections after one minute (confighttp idle_timeout).
IDLE_TIMEOUT_S: Final = 60


class AsgiServer:
    """Serves `app` at `endpoint`; async context manager, stop is safe twice and unstarted.

    If uvicorn fails while it serves, the task that entered is cancelled and the error raised.
    """

    def __init__(self, app: ASGIApp, endpoint: str, key: str) -> None:
        self._app = app
        self._endpoint = endpoint
        self._key = key
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
            timeout_keep_alive=IDLE_TIMEOUT_S,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        config.load()  # here, so that its errors are raised here
        sockets = await asyncio.to_thread(listen, self._endpoint, self._key)
        self._port = sockets[0].getsockname()[1]
        self._server = _Server(config)
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
        await self._tasks.__aexit__(None, None, None)


class _Server(uvicorn.Server):
    """uvicorn that says when it listens and leaves signals to the service."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
