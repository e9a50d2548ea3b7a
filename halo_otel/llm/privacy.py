"""What leaves: texts by the rule of `llm.payloads`, and the record of every request that did."""

import asyncio
import hashlib
import json
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from halo_otel.llm.conversation import Json, Payload, Text
from halo_otel.llm.lines import Lines
from halo_otel.redact.mask import USUAL, Masked, Rules, mask

Payloads = Literal["none", "redacted", "full"]
_HASH_CHARS: Final = 12  # enough to tell the texts of one window apart

_masked = lru_cache(512)(mask)  # a conversation grows at its end: the rest was masked before


def hashed(text: str) -> str:
    """What is told of a text that must not leave: how long it is, and a hash to tell it from others."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARS]
    return f"{len(text)} characters, sha256 {digest}"


class Veil:
    """The texts of one request as they leave; remembers the bytes of each payload field and what was masked.

    `none`: a payload leaves as its size and hash. `redacted`: credentials and personal data are masked, also
    where they stand in other texts than payloads; so they are with `none`. `full`: as it is. `rules` say
    what is masked.
    """

    def __init__(self, payloads: Payloads, rules: Rules = USUAL) -> None:
        self._payloads = payloads
        self._rules = rules
        self.fields: Counter[str] = Counter()
        self.masked: Counter[str] = Counter()

    def text(self, *content: Text) -> str:
        """`content` as one text."""
        joined = "".join(each if isinstance(each, str) else self._payload(each) for each in content)
        if self._payloads == "full":
            return joined
        # As one text: a name before a value may say that it is a secret.
        found: Masked = _masked(joined, self._rules)
        self.masked += found.kinds
        return found.text

    def value(self, value: object) -> object:
        """A JSON value with its strings, and numbers that are sensitive, as they leave."""
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            written = str(value)
            left = self.text(written)
            return value if left == written else left
        return value

    def _payload(self, payload: Payload) -> str:
        if self._payloads == "none":
            return f"[{payload.field}: {hashed(payload.text)}]"
        self.fields[payload.field] += len(payload.text.encode("utf-8", "replace"))
        return payload.text


class Sent:
    """One JSON line for each request, written before it leaves; a request whose line cannot be written stays."""

    def __init__(self, file: Path, size_bytes: int) -> None:
        self._lines = Lines(file, size_bytes, "record what is sent to the model, so nothing is")

    async def record(self, body: bytes, about: Json) -> None:
        """Note that `body` leaves. Raises Unwritable."""
        digest = hashlib.sha256(body).hexdigest()
        line = json.dumps({**about, "bytes": len(body), "sha256": digest})
        await asyncio.to_thread(self._lines.append, line)
