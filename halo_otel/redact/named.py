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
_SECRET: Final = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|access[_-]?token|"
    r"auth[_-]?token|refresh[_-]?token|session[_-]?id|authorization|cookie|credentials?)[\w-]{0,20}"
    r"(?<!name)(?<!type)(?<!path)(?<!file)[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}(?:(?:bearer|basic) )?"
    r"(?!(?:true|false|null|none|bearer|basic|os\.environ|os\.getenv|process\.env|str|string|await|self|this|settings|config|env|input|undefined|required|optional|password|secret|token)\b)(?P<v>[^\s\"'\\,;:&\[\](){}<>*$]{4,4096})"
)
_BEARER: Final = re.compile(r"(?i)\bbearer\s{1,4}(?P<v>[A-Za-z0-9._~+/-]{12,4096}=*)")
# A password that is told in prose or on a command line has a digit: `my password is …`, `--password …`.
_TOLD_WORDS: Final = (
    "password", "passwort", "kennwort", "passcode", "passwd", "mot de passe", "contraseña", "senha", "пароль", "密码",
)  # fmt: skip
_TOLD: Final = re.compile(
    rf"(?i)(?:{'|'.join(_TOLD_WORDS)})[\s:=：\"'\\]{{1,8}}(?:(?:is|ist|lautet|est|es)\s?:?\s{{0,2}})?[\"'\\]{{0,4}}"
    r"(?!sha-?\d|md5|utf)(?=[^\s\"'\\,;&<>(){}\[\]*$]{0,40}\d)(?P<v>[^\s\"'\\,;&<>(){}\[\]*$]{6,128})"
)
# The same as an element of XML, and what programs are given: `curl -u name:…`.
_ELEMENT: Final = re.compile(
    r"(?i)<[\w:-]{0,20}(?:password|passwd|pwd|secret|token|api_?key)>(?P<v>[^<>\s]{4,400})</"
)
_USER: Final = re.compile(
    r"\s(?:-u|--user)[ =][\"'\\]{0,4}[^\s:\"'\\]{1,64}:(?P<v>[^\s\"'\\$<{]{4,128})"
)
_STEMS: Final = (
    "pass", "secret", "key", "token", "session", "authoriz", "cookie", "credential", "kennwort", "contraseña", "senha",
    "пароль", "密码",
)  # fmt: skip
# Most texts have none of the stems, so most words are looked for in few.
_TOLD_BY_STEM: Final = {stem: [word for word in _TOLD_WORDS if stem in word] for stem in _STEMS}
_WORDS_BY_STEM: Final = {stem: [word for word in _WORDS if stem in word] for stem in _STEMS}
PREFILTER: Final = (
    r"(?i:password|passwd|passphrase|secret|(?:api|access|private)[_-]?key|(?:access|auth|refresh)[_-]?token|"
    r"session[_-]?id|authorization|cookie|credential)[^\s:=]{0,24}[^!-~]{0,4}[:=]|(?i:bearer)[^0-9A-Za-z._~+/-]|"
    rf"(?i:{'|'.join(_TOLD_WORDS)})[^0-9A-Za-z_]|(?i:password|passwd|pwd|secret|token|api_?key)>|(?:-u|--user)[ =]"
)


def find(text: str) -> Iterator[Sensitive]:
    """What is called a secret in `text`."""
    lower = text.lower()
    if "bearer" in lower:
        yield from _values(_BEARER, ("bearer",), text, lower)
    if "-u" in text:
        for match in _USER.finditer(text):
            yield _secret(match)
    if "</" in text:
        for match in _ELEMENT.finditer(text):
            yield _secret(match)
    stems = [stem for stem in _STEMS if stem in lower]
    for pattern, by_stem in ((_TOLD, _TOLD_BY_STEM), (_SECRET, _WORDS_BY_STEM)):
        words = tuple(word for stem in stems for word in by_stem[stem] if word in lower)
        if words:
            yield from _values(pattern, words, text, lower)


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
        yield _secret(match)


def _secret(match: re.Match[str]) -> Sensitive:
    return Sensitive(match.start("v"), match.end("v"), "secret", match["v"], "")
