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
# Letters beside those of ASCII are Latin, Greek and Cyrillic (RFC 6531): others stand beside an address without a space.
_LETTERS: Final = r"A-Za-z0-9\u00c0-\u024f\u0370-\u04ff"
_LOCAL_PART: Final = re.compile(rf"[{_LETTERS}_%+-][{_LETTERS}._%+-]{{0,63}}\Z")
_DOMAIN: Final = re.compile(rf"(?:@|%40)[{_LETTERS}-]{{1,63}}(?:\.[{_LETTERS}-]{{1,63}}){{1,8}}")
_LOCAL_CHARS: Final = 64
# International numbers as ITU-T E.123 writes them, with their plus sign; North American ones with separators.
_INTERNATIONAL: Final = compiled(r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?![\w.-]*\d)")
_NORTH_AMERICAN: Final = compiled(
    r"(?<![\w+])(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])\d{3}[ .-]\d{4}(?![\w.-]*\d)"
)
# With the prefix 00, in groups; within a country, where it is called one: with the prefix 0.
_PREFIXED: Final = compiled(
    r"(?<![\w.,+-])(?<![0-9] )00[1-9]\d{0,2}(?:[ .-]{1,2}\d{2,5}){2,6}(?![\w.-]*\d)"
)
_NATIONAL: Final = compiled(
    r"(?i)(?:tel|phone|call|mobil|fax|kontakt|contact|handy|cell|whatsapp)[^0-9+\n]{0,16}"
    r"(?P<v>\(?\b0[1-9]\d{0,4}\)?(?:[ ./-]{1,3}\d{2,8}){1,5})(?![\w.-]*\d)"
)
_NATIONAL_DIGITS_MIN: Final = 9
_NATIONAL_WORDS: Final = (
    "tel", "phone", "call", "mobil", "fax", "kontakt", "contact", "handy", "cell", "whatsapp",
)  # fmt: skip
_NORTH_AMERICAN_SHAPES: Final = (b"000-000-0000", b"000)000-0000", b"000)-000-0000")
# The lengths of IPv4 and the colons of IPv6 (RFC 4291 §2.2); `ipaddress` judges the rest.
_IPV4: Final = compiled(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\w)")
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:{1,2}){2,7}(?:[0-9A-Fa-f]{1,4})?(?![\w:]|\.\w)"
)
_MAYBE_IPV4: Final = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_MAYBE_IPV6: Final = re.compile(r"::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:")
_VERSION: Final = re.compile(
    r"(?i)(?:\bv|version|release|build|[\w)]/|[=~<>]=|\^)[\s\"':=]{0,4}\Z|\) \(\Z| {3}\Z"
)
_PORT: Final = re.compile(r":[0-9]")
_BEFORE: Final = 16

EMAILS_PREFILTER: Final = r"[A-Za-z0-9\x{c0}-\x{24f}\x{370}-\x{4ff}._%+-](?:@|%40)[^ \s@]"
TELEPHONES_PREFILTER: Final = (
    r"\+[1-9][ ().-]{0,2}\d|\d{3}\)? ?[ .-]?\d{3}[ .-]\d{4}|00[1-9]\d{0,2}[ .-]{1,2}\d|"
    r"\b0[1-9]\d{0,4}\)?[ ./-]{1,3}\d\d"
)
ADDRESSES_PREFILTER: Final = r"\d\.\d{1,3}\.\d{1,3}\.\d|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:"


def emails(text: str) -> Iterator[Sensitive]:
    """The e-mail addresses in `text`, in order; also where a link has them (`%40`)."""
    yield from _emails(text, "@")
    if "%40" in text:
        yield from _emails(text, "%40")


def _emails(text: str, sign: str) -> Iterator[Sensitive]:
    at, end = text.find(sign), 0
    while at >= 0:
        first = max(end, at - _LOCAL_CHARS)
        domain = _DOMAIN.match(text, at)
        local = domain and _LOCAL_PART.search(text, first, at)
        # No top-level domain is a number (RFC 3696 §2); a version of a package is. `git@host:` is a program.
        if domain and local and not domain[0].rpartition(".")[2].isdigit():
            end = domain.end()
            if local[0] != "git" or text[end : end + 1] != ":":
                value = text[local.start() : end].replace("%40", "@")
                yield Sensitive(local.start(), end, "e-mail", value, "")
        at = text.find(sign, max(at + 1, end))


def telephones(text: str) -> Iterator[Sensitive]:
    """The telephone numbers in `text`; of two that overlap either."""
    if "+" in text:
        for match in beginning(_INTERNATIONAL, ("+",), text):
            yield _telephone(match)
    if "00" in text:
        for match in beginning(_PREFIXED, ("00",), text):
            yield _telephone(match)
    yield from _within_a_country(text)
    shaped = shape(text)
    if b"-0000" in shaped and any(seen in shaped for seen in _NORTH_AMERICAN_SHAPES):
        for match in _NORTH_AMERICAN.finditer(text):
            yield _telephone(match)


def _within_a_country(text: str) -> Iterator[Sensitive]:
    lower = text.lower()
    words = [word for word in _NATIONAL_WORDS if word in lower]
    if not words or "0" not in text or len(lower) != len(text):
        return
    for match in beginning(_NATIONAL, words, text, lower):
        if sum(map(str.isdigit, match["v"])) >= _NATIONAL_DIGITS_MIN:
            yield Sensitive(match.start("v"), match.end("v"), "telephone number", match["v"], "")


def _telephone(match: re.Match[str]) -> Sensitive:
    return Sensitive(match.start(), match.end(), "telephone number", match[0], "")


def addresses(text: str) -> Iterator[Sensitive]:
    """The public IP addresses in `text`."""
    for pattern, maybe in ((_IPV4, _MAYBE_IPV4), (_IPV6, _MAYBE_IPV6)):
        for match in pattern.finditer(text) if maybe.search(text) else ():
            if not _is_public(match[0]):
                continue
            before = text[max(0, match.start() - _BEFORE) : match.start()]
            if not _VERSION.search(before) or _PORT.match(text, match.end()):
                yield Sensitive(match.start(), match.end(), "IP address", match[0], "")


def _is_public(written: str) -> bool:
    if ":" in written and "::" not in written and written.count(":") != 7:
        return False  # a time, a hardware address
    try:
        return ip_address(written).is_global
    except ValueError:
        return False
