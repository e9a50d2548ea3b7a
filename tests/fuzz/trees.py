"""Changes to JSON that leave it JSON: how a mutation gets past the parser to what reads the tree."""

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

import orjson

from tests.fuzz.words import words

# Changed bytes of at most so many: libFuzzer's own mutations.
Bytes = Callable[[bytes, int], bytes]

_SCALARS: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 255, 256, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1.5, -0.0,
    1e300, "", "0", "1", "-1", "NaN", "Infinity", "18446744073709551616", "00000000000000000000000000000000",
    "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "2026-08-01T10:00:00Z", "2026-08-01 10:00:00.5+14:00",
    "{}", "[]", '{"a":1}', '[{"role":"user","content":"hi"}]', "\x00", "é", "\ufffd", "😀", "true", "null", "AAE=",
)  # fmt: skip
_STEPS_MAX: Final = 4


def mutated(tree: Any, rng: Random, change: Bytes) -> Any:
    """`tree` with one to four changes at random places."""
    holder = [tree]
    for _ in range(rng.randint(1, _STEPS_MAX)):
        _change_somewhere(holder, rng, change)
    return holder[0]


def mutated_text(text: bytes, rng: Random, change: Bytes) -> bytes | None:
    """JSON text with changes, None if it is not JSON; sometimes indented, escaped or half."""
    try:
        tree = mutated(orjson.loads(text), rng, change)
        if rng.random() < 0.1:
            return json.dumps(tree, indent=rng.choice((None, 1)), ensure_ascii=True).encode()
        return orjson.dumps(tree)
    except (ValueError, TypeError, RecursionError):
        return None


def _change_somewhere(holder: Any, rng: Random, change: Bytes) -> None:
    keys = _keys(holder)
    while True:
        key = rng.choice(keys)
        inner = _keys(holder[key])
        if not inner or rng.random() < 0.25:
            break
        holder, keys = holder[key], inner
    _change(holder, key, rng, change)


def _keys(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node)
    return list(range(len(node))) if isinstance(node, list) else []


def _change(holder: Any, key: Any, rng: Random, change: Bytes) -> None:
    value = holder[key]
    match rng.randrange(9):
        case 0:
            holder[key] = _fresh(rng, 3)
        case 1 if isinstance(value, dict):
            value[rng.choice(words())] = _fresh(rng, 2)
        case 1 if isinstance(value, list):
            value.append(rng.choice(value) if value and rng.random() < 0.7 else _fresh(rng, 2))
        case 2 if isinstance(holder, dict) and len(holder) > 1:
            del holder[key]
        case 3 if isinstance(holder, dict):
            holder[rng.choice(words())] = holder.pop(key)
        case 4 if isinstance(value, dict) and "key" in value:  # an attribute
            value["key"] = rng.choice(words())
        case 5:
            holder[key] = rng.choice(([value], {rng.choice(words()): value}, _written(value)))
        case 6 if isinstance(value, list) and value:
            rng.shuffle(value)
            del value[rng.randrange(len(value)) :]
        case 7 if isinstance(value, str):
            # What a text says as JSON is changed as JSON.
            inner = mutated_text(value.encode(), rng, change) if value[:1] in ("{", "[") else None
            holder[key] = (inner or change(value.encode(), len(value) + 32)).decode(
                "utf-8", "replace"
            )
        case _:
            holder[key] = rng.choice(_SCALARS) if rng.random() < 0.5 else rng.choice(words())


def _written(value: Any) -> Any:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # nested too deep
        return None


def _fresh(rng: Random, levels: int) -> Any:
    kind = rng.randrange(4) if levels else 0
    if kind == 2:
        return [_fresh(rng, levels - 1) for _ in range(rng.randrange(3))]
    if kind == 3:
        return {rng.choice(words()): _fresh(rng, levels - 1) for _ in range(rng.randrange(4))}
    return rng.choice(_SCALARS) if kind else rng.choice(words())
