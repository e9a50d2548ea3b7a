"""What an endpoint can do, and what it means when it says no.

Nobody asks an endpoint for its features: the best is tried first, and what it refuses by name is left out
from then on. Its words for that, and for a context that is too long, were collected from OpenAI, Azure, vLLM,
llama.cpp's server, Ollama and OpenRouter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, TypeAlias

from halo_otel.clock import NS_PER_S
from halo_otel.redact.mask import mask

Feature: TypeAlias = Literal["tools", "schema", "output_limit", "usage", "temperature", "effort"]
Kind: TypeAlias = Literal["busy", "down", "broken", "lacks", "too_long", "declined", "rejected"]

_LACKS: Final = re.compile(
    r"(?i)support|require|unknown|unrecognized|unexpected|not permitted|not allowed|extra inputs|only the default"
)
# In the order in which they are looked for: `tool_choice` also stands in messages about other things.
_NAMED: Final[tuple[tuple[Feature, re.Pattern[str]], ...]] = (
    ("output_limit", re.compile(r"(?i)\bmax_(?:completion_)?tokens\b")),
    ("usage", re.compile(r"(?i)stream_options|include_usage")),
    ("temperature", re.compile(r"(?i)\btemperature\b")),
    ("effort", re.compile(r"(?i)reasoning[_ .]effort|\bthink(?:ing)?\b")),
    (
        "schema",
        re.compile(r"(?i)response_format|json_schema|json_object|structured output|grammar"),
    ),
    ("tools", re.compile(r"(?i)\btools?\b|tool[ _-]choice|function[ _-]call")),
)
_TOO_LONG: Final = re.compile(
    r"(?i)context[_ ](?:length|size|window)|maximum (?:context|model|prompt) length|too many (?:input )?tokens|"
    r"(?:prompt|input|request)(?: is)? too (?:long|large)|exceeds? the (?:available )?context|input length"
)
_TOKENS: Final = re.compile(
    r"(?i)(?:n_ctx\W{1,4}|(?:length|size|window|limit)(?: of| is|:)?[ (]{1,2})(\d{3,8})(?: tokens)?"
)
_DECLINED: Final = re.compile(r"(?i)content[_ ]?(?:filter|policy)|content management policy")
_NO_MONEY: Final = re.compile(r"(?i)insufficient[_ ](?:quota|credits|funds)|billing")
_BUSY: Final = frozenset({408, 409, 425, 429, 503, 529})
_LACKING: Final = frozenset({400, 404, 415, 422, 500, 501})  # llama.cpp refuses tools with 500
_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a request has no answer.

    `wait_s` is what the endpoint asks for before it is tried again; `is_free` says that nothing was
    generated: an answer with an error status is not billed, one that broke off may be.
    """

    kind: Kind
    what: str  # for people
    wait_s: float | None = None
    is_free: bool = True
    feature: Feature | None = None
    tokens: int | None = None


class Abilities:
    """What a model behind the endpoint is known to take; everything until it says no."""

    def __init__(self, is_openai: bool) -> None:
        self.schema: Literal["json_schema", "json_object", "text"] = "json_schema"
        self.tools = True
        self.usage = True
        self.temperature = True
        self.effort = True
        # OpenAI's own models want the new name; of all the others some know the old one only, and
        # would leave out the limit without a word.
        self._output_limits = ["max_completion_tokens", "max_tokens"]
        if not is_openai:
            self._output_limits.reverse()

    @property
    def output_limit(self) -> str:
        return self._output_limits[0]

    def used(self, body: Mapping[str, Any]) -> set[Feature]:
        """The features that `body` uses and that something else could stand in for."""
        keys: dict[str, Feature] = {
            "tools": "tools",
            "response_format": "schema",
            "stream_options": "usage",
            "temperature": "temperature",
            "reasoning_effort": "effort",
        }
        if len(self._output_limits) > 1:
            keys[self.output_limit] = "output_limit"
        return {feature for key, feature in keys.items() if key in body}

    def lose(self, feature: Feature, body: Mapping[str, Any]) -> None:
        """The endpoint took `body` not, for `feature`: use the next best, unless another request found out."""
        if feature == "schema":
            if body["response_format"]["type"] == self.schema:
                self.schema = "json_object" if self.schema == "json_schema" else "text"
        elif feature == "output_limit":
            if self.output_limit in body:
                del self._output_limits[0]
        else:
            setattr(self, feature, False)


def fault(status: int | None, told: str, used: set[Feature], wait_s: float | None = None) -> Fault:
    """What it means that the endpoint answered with `status` and the text `told`."""
    what = f"HTTP {status}: {plain(told)}" if status else plain(told)
    if status == 413 or _TOO_LONG.search(told):
        number = _TOKENS.search(told)
        return Fault(kind="too_long", what=what, tokens=int(number[1]) if number else None)
    if _DECLINED.search(told):
        return Fault(kind="declined", what=what)
    if status in (401, 402, 403) or _NO_MONEY.search(told):
        return Fault(kind="rejected", what=what)
    if status in _LACKING and _LACKS.search(told):
        for feature, name in _NAMED:
            if feature in used and name.search(told):
                return Fault(kind="lacks", what=what, feature=feature)
    if status in _BUSY:
        return Fault(kind="busy", what=what, wait_s=wait_s)
    if status is None or status >= 500:
        return Fault(kind="down", what=what, wait_s=wait_s, is_free=status is not None)
    return Fault(kind="rejected", what=what)


def wait_s(headers: Mapping[str, str], now_ns: int) -> float | None:
    """Retry-After (RFC 9110 §10.2.3: seconds or a date), or OpenAI's in milliseconds."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        named = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", named):
            return float(named) * unit_s
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now_ns / NS_PER_S)


def plain(told: str) -> str:
    """What a stranger's server says, fit for one line of ours: short, and without secrets."""
    return mask(" ".join(told.split())[:_CHARS_MAX]).text
