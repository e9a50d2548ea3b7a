"""A server over real HTTP that speaks OpenAI's chat completions by a script, and misbehaves by it.

    async with Scripted(says("a"), status(429), Reply(…)) as server:   # a queue of replies …
    async with Scripted(lambda request: says(…)) as server:            # … or a function of the request
        settings = server.settings(retries=1)

It records every request. The same reply is streamed where the request asks for that.
Wire format: OpenAI's API reference, "Create chat completion" and "Streaming".
"""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from starlette.types import Receive, Scope, Send

from halo_otel.clock import SystemClock
from halo_otel.config.llm import Llm
from halo_otel.config.transport import HttpListener
from halo_otel.receiver.asgi import AsgiServer
from halo_otel.receiver.door import Door
from halo_otel.selfobs import Counters

Json = dict[str, Any]
MODEL = "scripted-1"
_PIECE = 7  # characters of a streamed piece


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Json:
        body: Json = json.loads(self.content)
        return body


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer. `hold` is awaited first. `cut` ends after that many bytes of the body, and `stall` says
    nothing more from there on instead of closing the connection."""

    status: int = 200
    message: Json = field(default_factory=dict)
    finish: str | None = "stop"
    usage: Json | None = None
    error: Json | None = None
    content: bytes | None = None  # instead of all that
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: Callable[[], Awaitable[object]] | None = None
    cut: int | None = None
    stall: bool = False


def says(
    text: str | None = None,
    *,
    calls: tuple[tuple[str, object], ...] = (),
    refusal: str | None = None,
    tokens: tuple[int, int] | None = (20, 5),
    **changes: Any,
) -> Reply:
    """An answer with `calls` of `(tool, arguments)`; arguments that are a text are sent as they are."""
    message: Json = {"role": "assistant", "content": text, "refusal": refusal}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call-{place}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": value if isinstance(value, str) else json.dumps(value),
                },
            }
            for place, (name, value) in enumerate(calls)
        ]
        changes.setdefault("finish", "tool_calls")
    usage = None
    if tokens:
        usage = {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "total_tokens": sum(tokens),
        }
    return Reply(message=message, **{"usage": usage, **changes})


def status(
    number: int, message: str = "no", headers: Mapping[str, str] | None = None, **more: Any
) -> Reply:
    """An error in OpenAI's form."""
    return Reply(status=number, error={"message": message, **more}, headers=headers or {})


Script = Callable[[Json], Reply]


class Scripted:
    """Async context manager."""

    def __init__(self, *script: Reply | Script) -> None:
        self._script = deque(script)
        config = HttpListener(endpoint="127.0.0.1:0")
        door = Door(config, "the scripted model", "http", Counters(), SystemClock())
        self._server = AsgiServer(self, config, door)
        self.requests: list[Recorded] = []

    @property
    def bodies(self) -> list[Json]:
        return [request.body for request in self.requests]

    @property
    def left(self) -> int:
        """Replies that nobody asked for."""
        return len(self._script)

    def settings(self, **changes: object) -> Llm:
        base_url = f"http://127.0.0.1:{self._server.port}/v1"
        return Llm.model_validate({"base_url": base_url, "model": MODEL, **changes})

    async def __aenter__(self) -> "Scripted":
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, tb)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        content = b""
        more = True
        while more:
            event = await receive()
            content += event.get("body", b"")
            more = event.get("more_body", False)
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        path = scope["path"] + (
            f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        )
        request = Recorded(path=path, headers=headers, content=content)
        self.requests.append(request)
        reply = self._next(request.body)
        if reply.hold:
            await reply.hold()
        await _send(reply, request.body, receive, send)

    def _next(self, body: Json) -> Reply:
        if not self._script:
            return status(418, "the script is at its end")
        first = self._script[0]
        return first(body) if callable(first) else self._next_of_queue()

    def _next_of_queue(self) -> Reply:
        reply = self._script.popleft()
        assert isinstance(reply, Reply)
        return reply


async def _send(reply: Reply, body: Json, receive: Receive, send: Send) -> None:
    streams = bool(body.get("stream")) and reply.error is None and reply.content is None
    content = reply.content
    if content is None:
        content = b"".join(_chunks(reply, body)) if streams else json.dumps(_whole(reply)).encode()
    media_type = "text/event-stream" if streams else "application/json"
    headers = {"content-type": media_type, **reply.headers}
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    if reply.cut is None and not reply.stall:
        await send({"type": "http.response.body", "body": content})
        return
    part = content[: reply.cut or 0]
    await send({"type": "http.response.body", "body": part, "more_body": True})
    while reply.stall and (await receive())["type"] != "http.disconnect":
        pass  # until the other side gives up


def _whole(reply: Reply) -> Json:
    if reply.error is not None:
        return {"error": reply.error}
    choice = {"index": 0, "message": reply.message, "finish_reason": reply.finish}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL}
    return {**answer, "choices": [choice], **({"usage": reply.usage} if reply.usage else {})}


def _chunks(reply: Reply, body: Json) -> Iterator[bytes]:
    def event(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**head, "choices": [choice]})

    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    yield event({"role": "assistant", "content": ""})
    for name in ("content", "refusal"):
        for piece in _pieces(reply.message.get(name) or ""):
            yield event({name: piece})
    for index, call in enumerate(reply.message.get("tool_calls") or ()):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield event({"tool_calls": [{"index": index, **call, "function": function}]})
        for piece in _pieces(call["function"]["arguments"]):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if reply.finish:
        yield event({}, reply.finish)
    if reply.usage and (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": reply.usage})
    yield b"data: [DONE]\n\n"


def _event(chunk: Json) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
