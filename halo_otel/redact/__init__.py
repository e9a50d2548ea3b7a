"""Sensitive values in a text, and texts without them.

    credentials   what opens something, by its issuer's form
    personal      cards, IBANs and, from `national`, ids: what its checksum or its name proves
    contact       e-mail addresses, telephone numbers, public IP addresses
    named         what stands where a secret stands: `"password": …`
    custom        what the operator's own patterns match (RE2)
    mask          a text with what was found replaced by what may be shown: for people and models
    redactor      the same by keyed hashes, for what is stored and sent: equal values stay equal
    memory        what was made of the texts seen last: what is said is said again
    records       a redactor over whole spans and log records, `reports` over what is found, `otlpjson` over what is sent
    re2           many texts asked at once which of them need a look
    key           the secret of those hashes

Promises: what stands in documentation (example keys, test cards, placeholders, local hosts) is no
credential and nobody's number; a number is found only if its checksum holds or it is called what it is.
`PREFILTER` is a cheap RE2 pattern that matches every text in which `find` of its part finds something. A
value never leaves: what stands for it does. Nothing found is ever logged; it is counted by kind.
"""

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Where a word begins; in JSON also after an escaped line end, whose letter is no part of it.
_BEGIN: Final = r"(?:\b|(?<=\\[nrt]))"
_BEGAN: Final = r"(?:(?<!\w.)|(?<=\\[nrt].))"  # the same one character later
_FIRST: Final = re.compile(r"\\b(\[[^\]]+\])(?![{+*?])")
_BEGIN_RE2: Final = r"(?:\b|\\[nrt])"


@dataclass(frozen=True, slots=True, order=True)
class Sensitive:
    """One value in a text. `value` is for comparing only, without spaces and dashes; `shown` tells at most
    four of its characters. `start` and `end` are where it stands."""

    start: int
    end: int
    kind: str  # for people: `card number`
    value: str
    shown: str


def compiled(pattern: str) -> re.Pattern[str]:
    """`pattern` for Python; a `\\b` that it begins with also holds after an escaped line end.

    Digits are those of ASCII, as in RE2: no checksum is defined over others.
    """
    pattern = pattern.replace(r"[\d", "[0-9").replace(r"\d", "[0-9]")
    if first := _FIRST.match(
        pattern
    ):  # Python looks for a set of characters faster than for a place
        return re.compile(first[1] + _BEGAN + pattern[first.end() :])
    return re.compile(_BEGIN + pattern[2:] if pattern.startswith(r"\b") else pattern)


def for_re2(pattern: str) -> str:
    """The same for RE2, which cannot look behind."""
    return _BEGIN_RE2 + pattern[2:] if pattern.startswith(r"\b") else pattern


def squeezed(text: str) -> str:
    """`text` without what people put into numbers to read them."""
    return "".join(char for char in text if char not in " \t\r\n-")


def beginning(
    pattern: re.Pattern[str], hints: Iterable[str], text: str, within: str | None = None
) -> Iterator[re.Match[str]]:
    """As `pattern.finditer(text)`, for a pattern all of whose matches begin with one of `hints`; these are
    looked for in `within` if given: `text` in small letters.

    `str.find` passes over a text some hundred times faster than a pattern that begins with a choice.
    """
    looked = text if within is None else within
    starts: set[int] = set()
    for hint in hints:
        start = looked.find(hint)
        while start >= 0:
            starts.add(start)
            start = looked.find(hint, start + 1)
    end = 0
    for start in sorted(starts):
        if start >= end and (match := pattern.match(text, start)):
            end = match.end()
            yield match


_SHAPES: Final = bytes(
    ord("0") if 48 <= code <= 57
    else ord("A") if 65 <= code <= 90
    else ord("-") if chr(code) in " .-"
    else code if chr(code) in "()"
    else ord("x")
    for code in range(256)
)  # fmt: skip
_SMALL: Final = string.ascii_lowercase.encode()


@lru_cache(2)  # of one text several parts want it
def shape(text: str) -> bytes:
    """`text` with `0` for each digit, `A` for each capital and `-` for each space, dot and dash, nothing for a
    small letter and `x` for most others. Where digits stand in groups one search for a constant shows it,
    and some groups that there are not: what stood apart by small letters alone is together now."""
    return text.encode("utf-8", "surrogatepass").translate(_SHAPES, _SMALL)


_TOKEN: Final = bytes(
    ord("t") if chr(code) in string.ascii_letters + string.digits + "_-+/=." else ord(" ")
    for code in range(256)
)


def runs(text: str, chars: int) -> str:
    """What stands in `text` in so many or more letters, digits and signs of base64, names and numbers without a gap,
    one after the other: next to nothing of prose, all of a key."""
    data = text.encode("utf-8", "replace")
    seen = data.translate(_TOKEN)
    found: list[bytes] = []
    start = seen.find(b"t" * chars)
    while start >= 0:
        end = seen.find(b" ", start)
        end = len(data) if end < 0 else end
        found.append(data[start:end])
        start = seen.find(b"t" * chars, end)
    return b" ".join(found).decode()
