"""Texts with something sensitive in them, and operators' patterns: the time is bounded, the result stays.

The first byte says how often the text is repeated, the first line is an operator's pattern.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from halo_otel.config.re2 import problems
from halo_otel.redact.custom import Custom
from halo_otel.redact.mask import Rules, mask
from tests.fuzz import laws
from tests.fuzz.trees import Bytes

RUNS: Final = 200

# A text of so many characters takes milliseconds, with a quadratic pattern minutes.
_CHARS_MAX: Final = 32_768
_PIECES: Final = (
    "password=", "@", "a@b.de", "+49301234567", "4539 1488 0343 6467", "Bearer ", "abcdefghijkl", "card ", "[", "]",
    "DE44 5001 0517 5407 3249 31", "secret: ", "(415) 555-2671", "AKIAQWERTZUIAPASDFGH", "192.0.2.17", "2001:db8::1",
    "\\n", "\\\"", "},{", "-----BEGIN PRIVATE KEY-----", "eyJhbGciOiJIUzI1NiJ9.", "https://a:b@c.de", "0" * 40, "1-" * 20,
)  # fmt: skip


def check(data: bytes) -> None:
    pattern, _, text = data[1:].decode("utf-8", "replace").partition("\n")
    _check_pattern(pattern, text)
    again = min(1 + sum(data[:1]) ** 2, _CHARS_MAX // (len(text) + 1) + 1)
    left = laws.redactor().text(text * again)
    assert laws.redactor().text(left) == left
    masked = mask(text).text
    assert mask(masked).text == masked
    assert not [one for one in laws.RULES.find(text) if text[one.start : one.end] == ""]


def _check_pattern(pattern: str, text: str) -> None:
    """A pattern that is let in finds what stands there, and nothing twice."""
    if not pattern or problems("redaction.custom", {"own": pattern}):
        return
    end = 0
    for one in Custom({"own": pattern}).find(text):
        assert end <= one.start < one.end <= len(text)
        assert text[one.start : one.end] == one.value or not text.isprintable()
        end = one.end
    mask(text, Rules(("custom",), {"own": pattern}))


def mutate(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    if rng.random() < 0.4:
        return None
    place = rng.randint(0, len(data))
    return data[:place] + rng.choice(_PIECES).encode() + data[place + rng.choice((0, 0, 4)) :]


def seeds() -> Iterator[bytes]:
    yield b"\0[A-Z]{2}-\\d+\nAB-17 and CD-18"
    yield b"\1(?i)(a|b)+$\n" + b" ".join(piece.encode() for piece in _PIECES)
    for number, piece in enumerate(_PIECES):
        yield bytes([number * 8]) + b"\n" + piece.encode()
    yield b'\0\n{"password": "hunter22", "card": 4539148803436467, "note": "{\\"token\\": \\"abcd1234\\"}"}'
