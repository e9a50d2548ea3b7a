"""What the code looks for in a stranger's bytes: names of fields, keys of attributes, values of kinds.

A fuzzer finds a word of a few letters by itself; `gen_ai.response.finish_reasons` it does not.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import halo_otel

_ROOMS: Final = ("agentspan", "importers", "otlp", "redact")
_WORD: Final = re.compile(r"[\w$@.:/-]{2,60}")


@cache
def words() -> tuple[str, ...]:
    """The words that stand as constants in the rooms that read strangers' bytes, in order."""
    found: set[str] = set()
    for room in _ROOMS:
        for path in (Path(halo_otel.__path__[0]) / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.update(word for word in node.value.split() if _WORD.fullmatch(word))
    return tuple(sorted(found))
