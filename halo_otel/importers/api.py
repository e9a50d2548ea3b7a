"""One HTTP API that is asked for JSON, page after page, as a well-behaved client asks.

What is busy or broken for now is asked again: after the time it names, else after a wait that doubles
and of which a random part of up to a half is left out, so that several clients do not come back
together (AWS, "Exponential Backoff and Jitter": equal jitter). Redirects are not followed: the key goes to the named host only.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.errors import BadRequest, ConfigError, NotFound, TooLarge, Unreachable
from halo_otel.otlp import jsontext

ATTEMPT_TIMEOUT_S: Final = 60.0
BACKOFF_S: Final = (1.0, 30.0)  # the first wait and the longest
PATIENCE_S: Final = 300.0  # waits for one page, added up, before giving up
# A page of a thousand spans with their prompts has some ten MB.
PAGE_BYTES_MAX: Final = 256 << 20

_RETRYABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_ERROR_CHARS: Final = 200

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Api:
    """The API at `url` (a path in it stands before every path asked for).

    `headers` go with every request. `retries` counts what was asked again.
    """

    def __init__(self, url: str, headers: Mapping[str, str], clock: Clock) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ConfigError(f"--url: {url!r} is no address: write it like https://host")
        if address.username or address.password:
            raise ConfigError("--url holds a password: give the key by its variable or --key-file")
        self.url = url.rstrip("/")
        self.retries = 0
        self._address = address
        self._headers = {"Accept": "application/json", **headers}
        self._clock = clock

    async def get(self, path: str, query: Query = ()) -> Any:
        """The JSON at `path`.

        Raises ConfigError where the key is refused, NotFound, BadRequest for other refusals and for
        what is not JSON, TooLarge, and Unreachable after `PATIENCE_S` of waiting.
        """
        target = f"{self._address.path.rstrip('/')}{path}"
        if query:
            target = f"{target}?{urlencode(query)}"
        longest_s, waited_s = BACKOFF_S[0], 0.0
        while True:
            answer = await asyncio.to_thread(self._attempt, target)
            if isinstance(answer, _Answer) and answer.status not in _RETRYABLE:
                return self._content(path, answer)
            why = answer if isinstance(answer, str) else f"HTTP {answer.status}"
            if waited_s >= PATIENCE_S:
                raise Unreachable(f"{self.url}{path}: {why}: gave up after {waited_s:.0f} s")
            named_s = None if isinstance(answer, str) else self._retry_after_s(answer)
            pause_s = longest_s * (0.5 + random.random() / 2) if named_s is None else named_s
            self.retries += 1
            await self._clock.sleep(pause_s)
            waited_s += max(pause_s, BACKOFF_S[0])
            longest_s = min(longest_s * 2, BACKOFF_S[1])

    def _attempt(self, target: str) -> _Answer | str:
        """What came back, or why nothing did."""
        kind = HTTPSConnection if self._address.scheme == "https" else HTTPConnection
        connection = kind(self._address.netloc, timeout=ATTEMPT_TIMEOUT_S)
        try:
            connection.request("GET", target, headers=self._headers)
            response = connection.getresponse()
            body = response.read(PAGE_BYTES_MAX + 1)
            length = response.headers.get("Content-Length", "")
            if length.isdecimal() and len(body) < min(int(length), PAGE_BYTES_MAX):
                return "the answer ended early"
            headers = {key.lower(): value for key, value in response.headers.items()}
            return _Answer(status=response.status, headers=headers, body=body)
        except (OSError, HTTPException) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()

    def _content(self, path: str, answer: _Answer) -> Any:
        where, status = f"{self.url}{path}", answer.status
        if status in (401, 403):
            raise ConfigError(
                f"{where}: HTTP {status}: the key is missing, wrong or of another project"
            )
        if status == 404:
            raise NotFound(
                f"{where}: HTTP 404: no such project, or another API version{_said(answer)}"
            )
        if 300 <= status < 400:
            elsewhere = answer.headers.get("location", "elsewhere")[:_ERROR_CHARS]
            raise BadRequest(f"{where} points to {elsewhere}: give that address as --url")
        if status != 200:
            raise BadRequest(f"{where}: HTTP {status}{_said(answer)}")
        if len(answer.body) > PAGE_BYTES_MAX:
            raise TooLarge(
                f"{where}: a page of more than {PAGE_BYTES_MAX} bytes: lower --page-size"
            )
        try:
            return jsontext.loads(answer.body)
        except BadRequest as error:
            raise BadRequest(
                f"{where} does not answer in JSON ({error}): is --url right?"
            ) from error

    def _retry_after_s(self, answer: _Answer) -> float | None:
        """RFC 9110, 10.2.3: seconds or a date; at most what we are ready to wait altogether."""
        named = answer.headers.get("retry-after", "").strip()
        if named.isdecimal() and named.isascii():
            return min(float(named[:9]), PATIENCE_S)
        try:
            moment = parsedate_to_datetime(named)
        except ValueError:
            return None
        return min(max(moment.timestamp() - self._clock.now_ns() / NS_PER_S, 0.0), PATIENCE_S)


def _said(answer: _Answer) -> str:
    """What the server says about it, shortened."""
    text = answer.body[:_ERROR_CHARS].decode("utf-8", "replace").strip()
    return f": {text}" if text else ""
