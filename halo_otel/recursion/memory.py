"""What was asked before and paid for: answers by the content of the question.

A key is the hash of everything an answer depends on: the version of the prompts, the model, the kind of the
question and its text. So a run that died goes on where it was, a finding that goes on unchanged is not paid
for again, and equal groups of `map` are asked once.
"""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from halo_otel.llm.lines import Lines

ANSWERS_MAX: Final = 20_000


def key_of(*parts: object) -> str:
    """The key of what is asked; parts are JSON values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class Memory:
    """Answers of this process, and in `file` those of earlier ones; the oldest are let go.

    A line that cannot be read is as if it had never been asked.
    """

    def __init__(self, file: Path | None = None, size_bytes: int = 16 << 20) -> None:
        self._lines = Lines(file, size_bytes, "keep what the model answered") if file else None
        self._answers: OrderedDict[str, Any] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        for line in self._lines or ():
            try:
                key, answer = json.loads(line)
            except ValueError:  # torn by a crash
                continue
            self._keep(key, answer)

    def get(self, key: str) -> Any | None:
        """The answer, a JSON value, or None."""
        return self._answers.get(key)

    def put(self, key: str, answer: object) -> None:
        """Keep `answer`, a JSON value. Raises Unwritable when it cannot be kept beyond this process."""
        self._keep(key, answer)
        if self._lines is not None:
            self._lines.append(json.dumps([key, answer], ensure_ascii=False))

    async def once(self, key: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer, or else what `ask` gives, which is kept; who wants the same meanwhile waits for it.

        Raises what `ask` raises: then the next who waits asks.
        """
        lock = self._asking.setdefault(key, asyncio.Lock())
        async with lock:
            answer = self.get(key)
            if answer is None:
                answer = await ask()
                await asyncio.to_thread(self.put, key, answer)
            return answer

    def _keep(self, key: str, answer: object) -> None:
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > ANSWERS_MAX:
            self._answers.popitem(last=False)
