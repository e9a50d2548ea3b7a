"""Takes sensitive values out of a text: what `credentials` and `personal` find, and what a person would not
send to strangers though no issuer's form or checksum proves it: e-mail addresses, telephone numbers, and
values that stand where a secret stands (`"password": …`, `Authorization: Bearer …`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from halo_otel.redact import Sensitive, credentials, personal

# Every repetition is bounded: a text written by a stranger costs no more than its length.
_MAIL: Final = re.compile(
    r"[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
)
# International numbers as ITU-T E.123 writes them, with their plus sign; North American ones with separators.
_TELEPHONE: Final = re.compile(
    r"(?<![\w+])(?:\+[1-9](?:[ ().-]{0,2}\d){7,14}|(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4})(?![\w.-]*\d)"
)
_SECRET: Final = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|access[_-]?token|"
    r"auth[_-]?token|refresh[_-]?token|session[_-]?id|authorization|cookie|credentials?)[\w-]{0,20}"
    r"[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}(?:(?:bearer|basic) )?"
    r"(?!(?:true|false|null|none|bearer|basic)\b)(?P<v>[^\s\"'\\,;:&\[\](){}<>*$]{4,4096})"
)
_BEARER: Final = re.compile(r"(?i)\bbearer\s{1,4}(?P<v>[A-Za-z0-9._~+/-]{12,4096}=*)")

# A cheap RE2 pattern that matches every text that `mask` changes.
PREFILTER: Final = "|".join(
    (
        credentials.PREFILTER,
        personal.PREFILTER,
        r"[A-Za-z0-9_%+-]@[A-Za-z0-9-]",
        r"\+[1-9][ ().-]{0,2}\d|\d{3}\)? ?[ .-]?\d{3}[ .-]\d{4}",
        r"(?i:passw|passphrase|secret|key|token|session|authorization|cookie|credential|bearer)",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A text without its sensitive values, and how many of each kind were taken out."""

    text: str
    kinds: Counter[str]


def mask(text: str) -> Masked:
    """`text` with `[kind shown]` in place of every sensitive value.

    The same value becomes the same mask in every text; what is masked stays as it is when masked again.
    """
    kinds: Counter[str] = Counter()
    while places := sorted(
        _found(text)
    ):  # what stood in one piece with a masked value may stand out now
        text = _without(text, places, kinds)
    return Masked(text=text, kinds=kinds)


def _without(text: str, places: list[Sensitive], kinds: Counter[str]) -> str:
    pieces: list[str] = []
    end = 0
    for place in places:
        if place.start < end:  # overlaps the one before: what sticks out goes with it
            end = max(end, place.end)
            continue
        pieces += (text[end : place.start], f"[{place.kind}{place.shown and ' '}{place.shown}]")
        kinds[place.kind] += 1
        end = place.end
    return "".join((*pieces, text[end:]))


def _found(text: str) -> Iterator[Sensitive]:
    yield from credentials.find(text)
    yield from personal.find(text)
    for kind, pattern in (("e-mail", _MAIL), ("telephone number", _TELEPHONE)):
        for match in pattern.finditer(text):
            yield Sensitive(match.start(), match.end(), kind, match[0], "")
    for pattern in (_SECRET, _BEARER):
        for match in pattern.finditer(text):
            yield Sensitive(match.start("v"), match.end("v"), "secret", match["v"], "")
