"""Where people and machines are reached: e-mail addresses, telephone numbers, public IP addresses.

No checksum proves these, their form does. A private, local or documentation address (RFC 1918, RFC 5737, …)
leads to nobody; four numbers with dots behind a name, the word version or a gap, as in lists of packages, are a
version, unless a port follows.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from halo_otel.redact import Sensitive, beginning, compiled, shape

# Every repetition is bounded: a text written by a stranger costs no more than its length.
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}\Z")
_DOMAIN: Final = re.compile(r"@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_LOCAL_CHARS: Final = 64
# International numbers as ITU-T E.123 writes them, with their plus sign; North American ones with separators.
_INTERNATIONAL: Final = compiled(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?![\w.-]*\d)")
_NORTH_AMERICAN: Final = compiled(
    r"(?<![\w+])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w.-]*\d)"
)
_NORTH_AMERICAN_SHAPES: Final = (b"000-000-0000", b"000)000-0000", b"000)-000-0000")
# The lengths of IPv4 and the colons of IPv6 (RFC 4291 §2.2); `ipaddress` judges the rest.
_IPV4: Final = compiled(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\w)")
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}(?:[0-9A-Fa-f]{1,4})?(?![\w:]|\.\w)"
)
_MAYBE_IPV4: Final = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_MAYBE_IPV6: Final = re.compile(r":[0-9A-Fa-f]{0,4}:")
_VERSION: Final = re.compile(
    r"(?i)(?:\bv|version|release|build|[\w)]/|[=~<>]=|\^)[\s\"':=]{0,4}\Z|\) \(\Z| {3}\Z"
)
_PORT: Final = re.compile(r":[0-9]")
_BEFORE: Final = 16

PREFILTER: Final = "|".join(
    (
        r"[A-Za-z0-9_%+-]@[A-Za-z0-9-]",
        r"\+[1-9][ ().-]{0,2}\d|\d{3}\)? ?[ .-]?\d{3}[ .-]\d{4}",
    )
)


def emails(text: str) -> Iterator[Sensitive]:
    """The e-mail addresses in `text`, in order."""
    at, end = text.find("@"), 0
    while at >= 0:
        first = max(end, at - _LOCAL_CHARS)
        domain = _DOMAIN.match(text, at)
        local = domain and _LOCAL_PART.search(text, first, at)
        # No top-level domain is a number (RFC 3696 §2); a version of a package is.
        if domain and local and not domain[0].rpartition(".")[2].isdigit():
            end = domain.end()
            yield Sensitive(local.start(), end, "e-mail", text[local.start() : end], "")
        at = text.find("@", max(at + 1, end))


def telephones(text: str) -> Iterator[Sensitive]:
    """The telephone numbers in `text`; of two that overlap either."""
    if "+" in text:
        for match in beginning(_INTERNATIONAL, ("+",), text):
            yield _telephone(match)
    shaped = shape(text)
    if b"-0000" in shaped and any(seen in shaped for seen in _NORTH_AMERICAN_SHAPES):
        for match in _NORTH_AMERICAN.finditer(text):
            yield _telephone(match)


def _telephone(match: re.Match[str]) -> Sensitive:
    return Sensitive(match.start(), match.end(), "telephone number", match[0], "")


def addresses(text: str) -> Iterator[Sensitive]:
    """The public IP addresses in `text`."""
    for pattern, maybe in ((_IPV4, _MAYBE_IPV4), (_IPV6, _MAYBE_IPV6)):
        for match in pattern.finditer(text) if maybe.search(text) else ():
            before = text[max(0, match.start() - _BEFORE) : match.start()]
            is_version = _VERSION.search(before) and not _PORT.match(text, match.end())
            if _is_public(match[0]) and not is_version:
                yield Sensitive(match.start(), match.end(), "IP address", match[0], "")


def _is_public(written: str) -> bool:
    try:
        return ip_address(written).is_global
    except ValueError:
        return False
