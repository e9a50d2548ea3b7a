"""How many tokens a request can have at most, without its tokenizer.

Every token of a byte-level or byte-fallback BPE stands for at least one byte of the text (Sennrich et al.
2016; Wang et al. 2020, "Neural machine translation with byte-level subwords"), so bytes bound tokens. To the
bytes come what a chat template adds, and JSON as the widest template writes it: indented, non-ASCII and
`<>&'` as six bytes each (Jinja's `tojson`). That is about four times too much. But a conversation grows at
its end: where the endpoint has counted the beginning, only what is new counts by its bytes.
"""

import hashlib
import json
from collections import OrderedDict
from typing import Final

from halo_otel.llm.conversation import Json

# The published templates of Llama 3, Qwen 3, Hermes and Mistral stay below a third of these: markers around
# a turn, a preamble of their own, and how to call tools.
MESSAGE_TOKENS: Final = 32
REQUEST_TOKENS: Final = 256
TOOLS_TOKENS: Final = 1024
BYTES_PER_TOKEN: Final = 3.5  # of English with JSON in it, for estimates that people read
_KNOWN_MAX: Final = 4096  # conversations whose beginning is remembered


class Tokens:
    """Bounds that get tighter with what an endpoint counts."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._surplus: dict[str, int] = {}

    def at_most(self, body: Json) -> int:
        """The most input tokens that `body`, a chat completion request, can have."""
        digests = _digests(body)
        new = 0
        for message, digest in zip(reversed(body["messages"]), reversed(digests), strict=True):
            if (known := self._known.get(digest)) is not None:
                return known + new
            new += MESSAGE_TOKENS + _bytes(message)
        head = {name: body[name] for name in ("tools", "response_format") if name in body}
        tools = TOOLS_TOKENS if "tools" in body else 0
        surplus = self._surplus.get(body["model"], 0)
        return REQUEST_TOKENS + tools + (_widest(head) if head else 0) + new + surplus

    def learn(self, body: Json, at_most: int, counted: int) -> None:
        """The endpoint counted `counted` tokens where `at_most` was the bound."""
        if counted > at_most:  # it adds something of its own: it will again
            model = body["model"]
            self._surplus[model] = self._surplus.get(model, 0) + counted - at_most
        self._known[_digests(body)[-1]] = counted
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)


def _digests(body: Json) -> list[bytes]:
    """One for each beginning of the conversation, each with what stands before all messages."""
    rest = {name: body.get(name) for name in ("model", "tools", "response_format")}
    running = hashlib.sha256(json.dumps(rest).encode())
    digests = []
    for message in body["messages"]:
        running.update(json.dumps(message).encode() + b"\n")
        digests.append(running.digest())
    return digests


def _bytes(message: Json) -> int:
    rest = {name: value for name, value in message.items() if name not in ("content", "role")}
    content = len((message.get("content") or "").encode("utf-8", "replace"))
    return content + (_widest(rest) if rest else 0)


def _widest(value: object) -> int:
    text = json.dumps(value, indent=4)
    return len(text) + 5 * sum(map(text.count, "<>&'"))
