"""Health, readiness and our own metrics for probes and scrapers."""

from collections.abc import Callable
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from halo_otel.clock import Clock
from halo_otel.config import sections
from halo_otel.config.reach import is_local
from halo_otel.receiver.asgi import AsgiServer
from halo_otel.receiver.door import Door
from halo_otel.receiver.exposition import OPENMETRICS, TEXT, prometheus_text, wants_openmetrics
from halo_otel.selfobs import Counters, Reading

KEY: Final = "web"
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class WebServer:
    """Async context manager; stop is safe twice and unstarted.

    `not_ready` says why the service cannot take data yet or any more, None when it can; `readings`
    gives the metrics of the moment.

    Probes are answered to everybody: they can carry no token. /metrics asks for one where
    `web.auth.tokens_file` is set.
    """

    def __init__(
        self,
        config: sections.Web,
        *,
        not_ready: Callable[[], str | None],
        readings: Callable[[], list[Reading]],
        counters: Counters,
        clock: Clock,
    ) -> None:
        self._config = config
        self._door = Door(config, KEY, "web", counters, clock)
        self._not_ready = not_ready
        self._readings = readings
        routes = [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
        ]
        self._server = AsgiServer(Starlette(routes=routes), config, self._door)

    @property
    def port(self) -> int:
        """The port that is listened on, also when port 0 was configured."""
        return self._server.port

    async def __aenter__(self) -> "WebServer":
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, tb)

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        reason = self._not_ready()
        if reason is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {reason}\n", status_code=503)

    async def _metrics(self, request: Request) -> Response:
        reason = self._door.refusal(request.headers.get("authorization"))
        if reason is not None:
            headers = {"WWW-Authenticate": "Bearer"}
            return PlainTextResponse(f"{reason}\n", 401, headers)
        if is_local(self._config.endpoint) and not _names_this_machine(request):
            # A page in a browser here, under a name that was made to mean this machine.
            return PlainTextResponse("ask for it as localhost\n", 403)
        openmetrics = wants_openmetrics(request.headers.get("accept", ""))
        text = prometheus_text(self._readings(), openmetrics=openmetrics)
        return Response(text, media_type=OPENMETRICS if openmetrics else TEXT)


def _names_this_machine(request: Request) -> bool:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname in _LOCAL_NAMES
    except ValueError:
        return False
