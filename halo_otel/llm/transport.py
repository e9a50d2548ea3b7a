"""The one place that knows the package `openai`: bytes out, a completion or a fault back."""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from halo_otel.clock import Clock
from halo_otel.config import rotated
from halo_otel.config.llm import Llm
from halo_otel.errors import ConfigError
from halo_otel.llm import endpoint, reading
from halo_otel.llm.endpoint import Fault, Feature
from halo_otel.selfobs import Counters

if TYPE_CHECKING:
    from openai import AsyncOpenAI

logger = logging.getLogger(__name__)

OnText: TypeAlias = Callable[[str | None], None]

_ERROR_MEMBERS: Final = ("message", "code", "type", "param", "n_ctx", "detail")


class Failed(Exception):
    """A request has no answer, for `fault`; never leaves this room."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


class Transport:
    """Async context manager; stop is safe twice and unstarted."""

    def __init__(self, settings: Llm, clock: Clock, counters: Counters) -> None:
        self._settings = settings
        self._clock = clock
        self._counters = counters
        self._key = rotated.secret("llm.api_key_file", settings.api_key_file, settings.api_key)
        self._headers = rotated.headers("llm.headers_file", settings.headers_file, settings.headers)
        self._stack = AsyncExitStack()
        self._client: AsyncOpenAI | None = None

    async def __aenter__(self) -> "Transport":
        """Raises ConfigError without the package."""
        client = await asyncio.to_thread(_client, self._settings)  # imports it
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def exchange(
        self, content: bytes, used: set[Feature], seconds: float, on_text: OnText | None
    ) -> object:
        """The completion for the body `content`, which uses the features `used`, within `seconds`.

        Raises Failed and Unusable.
        """
        import openai  # half a second, so only where a model is asked

        try:
            async with asyncio.timeout(seconds):
                completion = await self._post(content, on_text)
        except openai.APIStatusError as error:
            wait_s = endpoint.wait_s(error.response.headers, self._clock.now_ns())
            told = self._told(error.body or error.message)
            fault = endpoint.fault(error.status_code, told, used, wait_s)
        except (openai.APITimeoutError, TimeoutError):
            what = f"no answer within {seconds:.3g} s"
            fault = Fault(kind="down", what=what, is_free=False)
        except openai.APIConnectionError as error:
            what = f"{error.message} {error.__cause__ or ''}"
            is_free = "Connect" in type(error.__cause__).__name__  # else it broke off
            fault = Fault(kind="down", what=endpoint.plain(what), is_free=is_free)
        except openai.APIError as error:
            fault = self._told_in_answer(error.body, used)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise reading.Unusable(f"the answer is not JSON: {error}") from error
        else:
            if (told_error := reading.error_in(completion)) is None:
                return completion
            fault = self._told_in_answer(told_error, used)
        raise Failed(fault)

    def _take_up(self) -> None:
        """What was rotated. What is no good is counted and logged, and what was there before stays."""
        for part in (self._key, self._headers):
            try:
                part.read()
            except ConfigError as error:
                self._counters.add("halo.llm.failed_reloads")
                logger.warning("%s; what was there before stays in use", error)

    async def _post(self, content: bytes, on_text: OnText | None) -> object:
        import openai

        assert self._client is not None, "not entered"
        await asyncio.to_thread(self._take_up)
        headers: dict[str, str | openai.Omit] = {**self._headers.value}
        if not any(name.lower() == "authorization" for name in headers):
            key = self._key.value
            headers["Authorization"] = f"Bearer {key}" if key else openai.omit
        post = partial(
            self._client.post,
            "/chat/completions",
            cast_to=object,
            content=content,
            options={"headers": headers},
        )
        if on_text is None:
            return await post()
        gathering = reading.Gathering()
        async with await post(stream=True, stream_cls=openai.AsyncStream[object]) as stream:
            if "text/event-stream" not in stream.response.headers.get("content-type", ""):
                return reading.whole(await stream.response.aread(), on_text)
            async for chunk in stream:
                if text := gathering.add(chunk):
                    on_text(text)
        return gathering.completion()

    def _told_in_answer(self, body: object, used: set[Feature]) -> Fault:
        """What an error means that came with status 200, or in the middle of a stream."""
        code = str(body.get("code")) if isinstance(body, dict) else ""
        status = int(code) if code.isdecimal() and len(code) == 3 else None
        fault = endpoint.fault(status, self._told(body), used)
        return replace(fault, is_free=fault.kind in ("lacks", "too_long", "rejected"))

    def _told(self, body: object) -> str:
        """What an error's body says, without the key, which some endpoints repeat."""
        if isinstance(body, dict):
            told = " ".join(str(body[name]) for name in _ERROR_MEMBERS if body.get(name))
        else:
            told = str(body)
        return told.replace(self._key.value, "[key]") if self._key.value else told


def _client(settings: Llm) -> "AsyncOpenAI":
    try:
        import openai
    except ImportError as error:
        raise ConfigError(
            "llm.model: a model can only be asked with the package openai: pip install 'halo-otel[llm]',"
            " or unset llm.model"
        ) from error
    address = urlsplit(settings.base_url)
    client = openai.AsyncOpenAI(
        api_key="none",  # each request says it
        base_url=urlunsplit(address._replace(query="")),
        default_query=dict(parse_qsl(address.query)),
        timeout=settings.timeout,
        max_retries=0,
        # What follows a redirect would show the headers to another host.
        http_client=openai.DefaultAsyncHttpxClient(
            follow_redirects=False, timeout=settings.timeout
        ),
    )
    # Otherwise they come from variables that are meant for another host.
    client.organization = client.project = None
    return client
