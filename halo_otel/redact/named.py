"""Values that stand where a secret stands: `"password": …`, `Authorization: Bearer …`.

No form proves these, so whoever shows them to people as findings leaves them out (`credentials`); whoever
lets texts leave takes them out.
"""

import re
from collections.abc import Iterator
from typing import Final

from halo_otel.redact import Sensitive, beginning

# What is called a secret, in small letters; an underscore stands for one, a dash or nothing.
_NAMES: Final = (
    "password passwd passphrase secret api_key access_key private_key access_token auth_token refresh_token"
    " session_id authorization cookie credential"
).split()
_WORDS: Final = tuple(
    spelled
    for name in _NAMES
    for spelled in ({name.replace("_", joint) for joint in "_-"} | {name.replace("_", "")})
)
_STEMS: Final = ("pass", "secret", "key", "token", "session", "authoriz", "cookie", "credential")
_SECRET: Final = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|access[_-]?token|"
    r"auth[_-]?token|refresh[_-]?token|session[_-]?id|authorization|cookie|credentials?)[\w-]{0,20}"
    r"[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}(?:(?:bearer|basic) )?"
    r"(?!(?:true|false|null|none|bearer|basic|os\.environ|os\.getenv|process\.env)\b)(?P<v>[^\s\"'\\,;:&\[\](){}<>*$]{4,4096})"
)
_BEARER: Final = re.compile(r"(?i)\bbearer\s{1,4}(?P<v>[A-Za-z0-9._~+/-]{12,4096}=*)")
PREFILTER: Final = (
    r"(?i:passw|passphrase|secret|key|token|session|authorization|cookie|credential|bearer)"
)


def find(text: str) -> Iterator[Sensitive]:
    """What is called a secret in `text`."""
    lower = text.lower()
    if "bearer" in lower:
        yield from _values(_BEARER, ("bearer",), text, lower)
    for stem in _STEMS:
        if stem in lower:
            break
    else:
        return
    words = tuple(word for word in _WORDS if word in lower)
    if words:
        yield from _values(_SECRET, words, text, lower)


def is_name(word: str) -> bool:
    """Whether what `word` names is a secret."""
    lower = word.lower()
    return any(name in lower for name in _WORDS)


def _values(
    pattern: re.Pattern[str], words: tuple[str, ...], text: str, lower: str
) -> Iterator[Sensitive]:
    # Few letters have small forms of another length; where one does, no place in `lower` is one in `text`.
    if len(lower) != len(text):
        matches = pattern.finditer(text)
    else:
        matches = beginning(pattern, words, text, lower)
    for match in matches:
        yield Sensitive(match.start("v"), match.end("v"), "secret", match["v"], "")
