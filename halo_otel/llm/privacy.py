"""What leaves: texts by the rule of `llm.payloads`, and the record of every request that did."""

import asyncio
import hashlib
import json
import os
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from halo_otel.errors import Unwritable
from halo_otel.llm.conversation import Json, Payload, Text
from halo_otel.redact.mask import Masked, mask

Payloads = Literal["none", "redacted", "full"]
_HASH_CHARS: Final = 12  # enough to tell the texts of one window apart

_masked = lru_cache(512)(mask)  # a conversation grows at its end: the rest was masked before


class Veil:
    """The texts of one request as they leave; remembers the bytes of each payload field and what was masked.

    `none`: a payload leaves as its size and hash. `redacted`: credentials and personal data are masked, also
    where they stand in other texts than payloads; so they are with `none`. `full`: as it is.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self.fields: Counter[str] = Counter()
        self.masked: Counter[str] = Counter()

    def text(self, *content: Text) -> str:
        """`content` as one text."""
        joined = "".join(each if isinstance(each, str) else self._payload(each) for each in content)
        if self._payloads == "full":
            return joined
        # As one text: a name before a value may say that it is a secret.
        found: Masked = _masked(joined)
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
        data = payload.text.encode("utf-8", "replace")
        if self._payloads == "none":
            digest = hashlib.sha256(data).hexdigest()[:_HASH_CHARS]
            return f"[{payload.field}: {len(payload.text)} characters, sha256 {digest}]"
        self.fields[payload.field] += len(data)
        return payload.text


class Sent:
    """One JSON line for each request, written before it leaves; a request whose line cannot be written stays.

    At half of `size_bytes` the file becomes `….1`, in place of the one before: both together never exceed it.
    """

    def __init__(self, file: Path, size_bytes: int) -> None:
        self._file = file
        self._half_bytes = size_bytes // 2
        self._lock = asyncio.Lock()

    async def record(self, body: bytes, about: Json) -> None:
        """Note that `body` leaves. Raises Unwritable."""
        digest = hashlib.sha256(body).hexdigest()
        line = {**about, "bytes": len(body), "sha256": digest}
        async with self._lock:
            await asyncio.to_thread(self._append, json.dumps(line).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._file.exists() and self._file.stat().st_size + len(line) > self._half_bytes:
                os.replace(self._file, self._file.with_name(f"{self._file.name}.1"))
            handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            raise Unwritable(
                f"{self._file}: cannot record what is sent to the model ({error.strerror}), so nothing"
                " is: free space or check its rights"
            ) from error
