"""How many tokens a request can have at most, without its tokenizer.

Every token of a byte-level or byte-fallback BPE stands for at least one byte of the text (Sennrich et al.
2016; Wang et al. 2020, "Neural machine translation with byte-level subwords"), so bytes bound tokens. To the
bytes come what a chat template adds, and JSON as the widest template writes it: indented, non-ASCII and
`<>&'` as six bytes each (Jinja's `tojson`); of an indentation only a few, since all chat models have tokens for
runs of spaces. That is about four times too much. But where the endpoint has counted a conversation, another one
that begins like it, with the same tools or also the same messages, counts only what is new by its bytes: a
beginning has no more tokens than the whole.
"""

import hashlib
import json
import re
import sys
from collections import OrderedDict
from functools import lru_cache
from typing import Final

from halo_otel.llm.conversation import Json

# The published templates of Llama 3, Qwen 3, Hermes and Mistral stay below a third of these: markers around
# a turn, a preamble of their own, and how to call tools.
MESSAGE_TOKENS: Final = 32
REQUEST_TOKENS: Final = 256
TOOLS_TOKENS: Final = 1024
BYTES_PER_TOKEN: Final = 3.5  # of English with JSON in it, for estimates that people read
# Vocabularies have runs of 2, 4, 8 and 16 spaces (Llama 2, Mistral) or of any length (tiktoken's).
INDENT_TOKENS: Final = 4
_KNOWN_MAX: Final = 4096  # beginnings that are remembered

_INDENT: Final = re.compile(r"\n {5,}")


class Tokens:
    """Bounds that get tighter with what an endpoint counts."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._surplus: dict[str, int] = {}

    def at_most(self, body: Json) -> int:
        """The most input tokens that `body`, a chat completion request, can have."""
        before, *digests = _digests(body)
        new = 0
        for message, digest in zip(reversed(body["messages"]), reversed(digests), strict=True):
            if (known := self._known.get(digest)) is not None:
                return known + new
            new += MESSAGE_TOKENS + _bytes(message)
        head = {name: body[name] for name in ("tools", "response_format") if name in body}
        wide = _widest_of(json.dumps(head)) if head else 0
        tools = TOOLS_TOKENS if "tools" in body else 0
        surplus = self._surplus.get(body["model"], 0)
        return new + min(
            REQUEST_TOKENS + tools + wide + surplus, self._known.get(before, sys.maxsize)
        )

    def learn(self, body: Json, at_most: int, counted: int) -> None:
        """The endpoint counted `counted` tokens where `at_most` was the bound."""
        if counted > at_most:  # it adds something of its own: it will again
            model = body["model"]
            self._surplus[model] = self._surplus.get(model, 0) + counted - at_most
        for digest in _digests(body):
            self._known[digest] = min(counted, self._known.get(digest, counted))
            self._known.move_to_end(digest)
        while len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)


def _digests(body: Json) -> list[bytes]:
    """One of what stands before all messages, and with it one for each beginning of the conversation."""
    rest = {name: body.get(name) for name in ("model", "tools", "response_format")}
    running = hashlib.sha256(json.dumps(rest).encode())
    digests = [running.digest()]
    for message in body["messages"]:
        running.update(json.dumps(message).encode() + b"\n")
        digests.append(running.digest())
    return digests


def _bytes(message: Json) -> int:
    rest = {name: value for name, value in message.items() if name not in ("content", "role")}
    content = len((message.get("content") or "").encode("utf-8", "replace"))
    return content + (_widest(rest) if rest else 0)


@lru_cache(64)
def _widest_of(text: str) -> int:
    """The same of JSON text: all requests of one kind have the same tools or schema."""
    return _widest(json.loads(text))


def _widest(value: object) -> int:
    text = _INDENT.sub("\n" + " " * INDENT_TOKENS, json.dumps(value, indent=4))
    return len(text) + 5 * sum(map(text.count, "<>&'"))
