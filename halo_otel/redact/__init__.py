"""Sensitive values in a text: `credentials` that open something, `personal` numbers that name somebody, and
`mask`, which takes both out of a text that leaves, with what else a person would not send to strangers.

Promises: what stands in documentation (example keys, test cards, placeholders, local hosts) is not
found; a number is found only if its checksum holds. `PREFILTER` of each part is a cheap RE2 pattern that
matches every text in which its `find` finds something. A value never leaves: `shown` does. `mask` rather
takes too much than too little: it also takes what only stands where a secret, an address or a telephone
number stands.
"""

import re
from dataclasses import dataclass
from typing import Final

# Where a word begins; in JSON also after an escaped line end, whose letter is no part of it.
_BEGIN: Final = r"(?:\b|(?<=\\[nrt]))"
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
    """`pattern` for Python; a `\\b` that it begins with also holds after an escaped line end."""
    return re.compile(_BEGIN + pattern[2:] if pattern.startswith(r"\b") else pattern)


def for_re2(pattern: str) -> str:
    """The same for RE2, which cannot look behind."""
    return _BEGIN_RE2 + pattern[2:] if pattern.startswith(r"\b") else pattern


def squeezed(text: str) -> str:
    """`text` without what people put into numbers to read them."""
    return "".join(char for char in text if char not in " \t\r\n-")
