"""What was asked before and paid for: answers by the content of the question.

A key is the hash of everything an answer depends on: the version of the prompts, the model, the kind of the
question and its text. So a run that died goes on where it was, a finding that goes on unchanged is not paid
for again, and equal groups of `map` are asked once.
"""

import hashlib
import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from halo_otel.errors import Unwritable

ANSWERS_MAX: Final = 20_000


def key_of(*parts: object) -> str:
    """The key of what is asked; parts are JSON values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class Memory:
    """Answers of this process, and in `file` those of earlier ones; the oldest are let go.

    A line that cannot be read is as if it had never been asked. At half of `size_bytes` the file becomes
    `….1`, in place of the one before: both together never exceed it.
    """

    def __init__(self, file: Path | None = None, size_bytes: int = 16 << 20) -> None:
        self._file = file
        self._half_bytes = size_bytes // 2
        self._answers: OrderedDict[str, Any] = OrderedDict()
        for path in () if file is None else (_older(file), file):
            self._read(path)

    def get(self, key: str) -> Any | None:
        """The answer, a JSON value, or None."""
        return self._answers.get(key)

    def put(self, key: str, answer: object) -> None:
        """Keep `answer`, a JSON value. Raises Unwritable when it cannot be kept beyond this process."""
        self._keep(key, answer)
        if self._file is None:
            return
        text = json.dumps([key, answer], ensure_ascii=False)
        line = f"\n{text}\n".encode("utf-8", "replace")  # what was torn before it ends here
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._file.exists() and self._file.stat().st_size + len(line) > self._half_bytes:
                os.replace(self._file, _older(self._file))
            handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            raise Unwritable(
                f"{self._file}: cannot keep what the model answered ({error.strerror}): free space or"
                " check its rights"
            ) from error

    def _keep(self, key: str, answer: object) -> None:
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > ANSWERS_MAX:
            self._answers.popitem(last=False)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_bytes().splitlines()
        except OSError:  # there is none yet
            return
        for line in lines:
            try:
                key, answer = json.loads(line)
            except ValueError:  # torn by a crash
                continue
            self._keep(key, answer)


def _older(file: Path) -> Path:
    return file.with_name(f"{file.name}.1")
