"""One HTTP connection that is not waited for without end: uvicorn has no such deadlines."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from halo_otel.config.transport import HttpListener


class Connection(HttpToolsProtocol):
    """Closes itself when a header or a body does not come in time.

    The names and the meaning are those of the Collector's confighttp, except that `read_timeout`
    begins when the header is there. `on_slow` is told what was waited for; `on_end` comes last.
    """

    def __init__(
        self,
        limits: HttpListener,
        on_slow: Callable[[str], None],
        on_end: Callable[[], None],
        **uvicorn_s: Any,
    ) -> None:
        super().__init__(**uvicorn_s)
        self._limits = limits
        self._on_slow = on_slow
        self._on_end = on_end
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect("slow_header", self._limits.read_header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expected()
        super().connection_lost(exc)
        self._on_end()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect("slow_header", self._limits.read_header_timeout)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._expect("slow_body", self._limits.read_timeout)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._expected()

    def _expect(self, reason: str, timeout_s: float) -> None:
        self._expected()
        self._deadline = self.loop.call_later(timeout_s, self._give_up, reason)

    def _expected(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, reason: str) -> None:
        self._on_slow(reason)
        self.transport.abort()
