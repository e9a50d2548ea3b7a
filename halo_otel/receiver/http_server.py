"""OTLP/HTTP: protobuf and JSON, plain, gzip and deflate."""

import asyncio
import logging
import math
from types import TracebackType
from typing import Any, Final

from google.protobuf.json_format import MessageToJson
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from halo_otel.clock import Clock
from halo_otel.config import sections
from halo_otel.errors import BadRequest, HaloError, TooLarge
from halo_otel.otlp.jsonrequest import request_from_json
from halo_otel.receiver.admission import Signal
from halo_otel.receiver.asgi import AsgiServer
from halo_otel.receiver.body import WINDOW_BITS, read_body, too_large
from halo_otel.receiver.door import Door
from halo_otel.receiver.intake import Intake
from halo_otel.selfobs import Counters

logger = logging.getLogger(__name__)

KEY: Final = "receivers.otlp.protocols.http"
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_TRANSPORT: Final = "http"
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs", "metrics")

# The one table from our errors to HTTP's and gRPC's codes; whatever is not in it is 503 with
# Retry-After. OTLP 1.11: 400 for bad data, 413 above the limit; neither may be retried.
_PERMANENT: Final[dict[type[Exception], tuple[int, int]]] = {
    BadRequest: (400, Code.INVALID_ARGUMENT),
    TooLarge: (413, Code.RESOURCE_EXHAUSTED),
}
# For what is refused by its headers alone; any other status is INVALID_ARGUMENT.
_CODES: Final = {
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    405: Code.UNIMPLEMENTED,
}


class HttpServer:
    """Async context manager; stop is safe twice and unstarted."""

    def __init__(
        self, config: sections.Http, intake: Intake, counters: Counters, clock: Clock
    ) -> None:
        self._config = config
        self._intake = intake
        self._door = Door(config, KEY, _TRANSPORT, counters, clock)
        self._server = AsgiServer(self._app(), config, self._door)

    @property
    def port(self) -> int:
        """The port that is listened on, also when port 0 was configured."""
        return self._server.port

    async def __aenter__(self) -> "HttpServer":
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, tb)

    def _app(self) -> Starlette:
        app = Starlette(
            routes=[self._route(signal) for signal in _SIGNALS],
            exception_handlers={HTTPException: self._on_http_exception},
        )
        app.router.redirect_slashes = False
        return app

    def _route(self, signal: Signal) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._export(signal, request)

        return Route(f"/v1/{signal}", endpoint, methods=["POST"])

    async def _export(self, signal: Signal, request: Request) -> Response:
        """One export call; every error becomes an answer here."""
        media_type = _media_type(request)
        try:
            self._check_headers(request)
            with self._intake.hold() as held:
                async with self._intake.receiving(None):  # `Connection` has the deadline
                    body = await read_body(
                        request.stream(),
                        _encoding(request),
                        self._config.max_request_body_size,
                        held,
                    )
                if media_type == JSON:
                    body = await asyncio.to_thread(self._binary, body, signal)
                response = await self._intake.export(signal, body, _TRANSPORT)
            return _answer(200, response, media_type)
        except HaloError as error:
            self._intake.count_refusal(error, _TRANSPORT)
            return self._error(error, media_type)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except HTTPException:
            raise
        except Exception as error:
            # At the edge: a 500 would make the sender drop the data.
            logger.exception("a %s request over HTTP failed unexpectedly", signal)
            self._intake.count_internal_error(_TRANSPORT)
            return self._error(error, media_type)

    def _binary(self, body: bytes, signal: Signal) -> bytes:
        """What a JSON body stands for, serialised."""

        def cut(values: int) -> None:
            self._intake.count_cut(values, _TRANSPORT)

        return request_from_json(body, signal, cut).SerializeToString()

    def _check_headers(self, request: Request) -> None:
        """Refuse what needs no body to be refused."""
        reason = self._door.refusal(request.headers.get("authorization"))
        if reason is not None:
            raise HTTPException(401, reason, {"WWW-Authenticate": "Bearer"})  # RFC 6750 §3
        if "origin" in request.headers:
            # Only browsers say it. A page may not write into somebody's traces, nor under a name that
            # was made to mean this machine (DNS rebinding).
            raise HTTPException(403, "no page in a browser may send here: send from a program")
        if _media_type(request) not in (PROTOBUF, JSON):
            raise HTTPException(415, f"Content-Type must be {PROTOBUF} or {JSON}")
        if _encoding(request) not in WINDOW_BITS:
            accepted = "gzip, deflate, identity"
            # RFC 9110 §12.5.3: the answer says which encodings would do.
            raise HTTPException(
                415, f"Content-Encoding must be one of {accepted}", {"Accept-Encoding": accepted}
            )
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._config.max_request_body_size:
            raise too_large(self._config.max_request_body_size)

    def _error(self, error: Exception, media_type: str) -> Response:
        if type(error) in _PERMANENT:
            status_code, code = _PERMANENT[type(error)]
            return _answer(status_code, Status(code=code, message=str(error)), media_type)
        message = str(error) if isinstance(error, HaloError) else "internal error: send it again"
        response = _answer(503, Status(code=Code.UNAVAILABLE, message=message), media_type)
        response.headers["Retry-After"] = str(math.ceil(self._intake.retry_delay_s))
        return response

    async def _on_http_exception(self, request: Request, error: Exception) -> Response:
        """Wrong path, method or headers."""
        assert isinstance(error, HTTPException)
        self._intake.count_refusal(BadRequest(error.detail), _TRANSPORT)
        code = _CODES.get(error.status_code, Code.INVALID_ARGUMENT)
        response = _answer(
            error.status_code, Status(code=code, message=error.detail), _media_type(request)
        )
        response.headers.update(error.headers or {})
        return response


def _media_type(request: Request) -> str:
    """The content type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _encoding(request: Request) -> str:
    return request.headers.get("content-encoding", "").strip().lower()


def _answer(status_code: int, message: Any, media_type: str) -> Response:
    """`message` in the request's content type; JSON, which people can read, if that is neither."""
    if media_type == PROTOBUF:
        return Response(message.SerializeToString(), status_code, media_type=PROTOBUF)
    text = MessageToJson(message, indent=None)
    return Response(text, status_code, media_type=JSON)
