"""Health, readiness and our own metrics for probes and scrapers."""

from collections.abc import Callable, Iterable
from itertools import groupby
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
from halo_otel.selfobs import GAUGES, HELP, Counters, Reading

KEY: Final = "web"
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Prometheus text exposition format 0.0.4.
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


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
        return Response(prometheus_text(self._readings()), media_type=_METRICS_TYPE)


def _names_this_machine(request: Request) -> bool:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname in _LOCAL_NAMES
    except ValueError:
        return False


def prometheus_text(readings: Iterable[Reading]) -> str:
    """`readings` in Prometheus' text format: dots become underscores, counters end in `_total`."""
    lines: list[str] = []
    for name, group in groupby(sorted(readings, key=lambda r: r.name), key=lambda r: r.name):
        is_gauge = name in GAUGES
        metric = name.replace(".", "_") + ("" if is_gauge else "_total")
        lines.append(f"# HELP {metric} {HELP[name]}")
        lines.append(f"# TYPE {metric} {'gauge' if is_gauge else 'counter'}")
        lines += [f"{metric}{_labels(reading)} {_number(reading.value)}" for reading in group]
    return "\n".join(lines) + "\n" if lines else ""


def _labels(reading: Reading) -> str:
    pairs = [f'{key.replace(".", "_")}="{_escaped(text)}"' for key, text in reading.attributes]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
