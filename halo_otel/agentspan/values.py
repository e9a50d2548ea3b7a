"""Attribute values to facts. Every parser takes whatever stands there and returns None for "unknown".

Unknown is also what was redacted or left empty: two redacted arguments are not equal arguments.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

# What SDKs, the Collector's redaction and transform processors and agent frameworks write in place
# of content; compared in lower case.
_REDACTED: Final = frozenset(
    {
        "<redacted>",
        "[redacted]",
        "__redacted__",
        "redacted",
        "<filtered>",
        "[filtered]",
        "<not specified>",  # Google ADK
        "<elided>",
        "***",
        "****",
        "*****",
        "********",
    }
)
_REDACTED_CHARS_MAX: Final = 64
_REDACTED_BEGINS: Final = frozenset("<[_*rR \t\n")
_SCRUBBED: Final = "[Scrubbed due to"  # Logfire, followed by the pattern that matched
_REDACTED_MEMBER: Final = re.compile(
    r'"(?:<redacted>|\[redacted\]|__redacted__|\*{3,}|\[Scrubbed due to [^"]*)"', re.IGNORECASE
)
# Searching for these first is a hundred times cheaper than the expression.
_REDACTED_HINTS: Final = ("REDACTED", "redacted", "Redacted", "***", _SCRUBBED)

_JSON_BEGINS: Final = frozenset('{["')
# The text decoded last, and what it stands for.
_last: tuple[str, Any] = ("", None)

INT64_MAX: Final = 2**63 - 1
# Parsing costs about 2 µs per KiB; a longer text is taken as it is.
JSON_CHARS_MAX: Final = 1 << 20


def text(value: Any) -> str | None:
    """Text that says something, as it was recorded."""
    if not isinstance(value, str) or not value:
        return None
    if value[0] in _REDACTED_BEGINS and is_redacted(value):
        return None
    return None if value[0].isspace() and value.isspace() else value


def is_redacted(value: str) -> bool:
    """Whether `value` only says that something was taken out."""
    return len(value) <= _REDACTED_CHARS_MAX and (
        value.strip().lower() in _REDACTED or value.startswith(_SCRUBBED)
    )


def label(value: Any) -> str | None:
    """A name or an id: text without the space around it; a number is taken as its digits."""
    if type(value) is int:
        return str(value)
    known = text(value)
    return known.strip() if known else None


def payload(value: Any) -> str | None:
    """Arguments, results, content: text as it was recorded, anything structured as JSON."""
    if isinstance(value, str):
        return text(value)
    if value is None or value == b"":
        return None
    if isinstance(value, bytes):
        return text(value.decode("utf-8", "replace"))
    try:
        return orjson.dumps(value, default=_bytes_as_text).decode()
    except (TypeError, RecursionError):  # text that is not Unicode, or nesting without end
        return None


def _bytes_as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError


def arguments(value: Any) -> str | None:
    """As `payload`; unknown also if a member of the object is redacted, for then it has no equal."""
    known = payload(value)
    return None if known is not None and has_redacted_member(known) else known


def has_redacted_member(known: str) -> bool:
    """Whether a text inside this JSON only says that something was taken out."""
    if not any(hint in known for hint in _REDACTED_HINTS):
        return False
    return _REDACTED_MEMBER.search(known) is not None


def json_object(value: Any) -> str | None:
    """As `arguments`, if it looks like a JSON object."""
    known = payload(value)
    return arguments(known) if known and known[0] == "{" and known.rstrip()[-1] == "}" else None


def count(value: Any) -> int | None:
    """A number of tokens: a non-negative integer that fits 64 bits, also as text or as a double."""
    if isinstance(value, str) and len(value) <= 19 and value.isdecimal():
        value = int(value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= INT64_MAX else None


def money(value: Any) -> float | None:
    """An amount in USD: finite and not negative, also as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def milliseconds(value: Any) -> float | None:
    """A duration in milliseconds: finite and not negative, also as text."""
    return money(value)


def seconds(value: Any) -> float | None:
    """A duration in seconds, to milliseconds."""
    known = money(value)
    return None if known is None else known * 1000


def decoded(value: Any) -> Any:
    """What JSON text stands for, decoded at most twice, for some SDKs encode twice; else `value`.

    Only text that begins like a JSON object, array or string is tried (conventions, precedence 1).
    What comes back is not to be changed: several facts are read from one text, so the last is kept.
    """
    global _last
    if not isinstance(value, str) or value[:1] not in _JSON_BEGINS or len(value) > JSON_CHARS_MAX:
        return value
    known, found = _last
    if known is value:
        return found
    found = _loads(value)
    if isinstance(found, str) and found[:1] in _JSON_BEGINS:
        found = _loads(found)
    _last = value, found
    return found


def _loads(value: str) -> Any:
    try:
        return orjson.loads(value)
    except ValueError:
        return value


def unquoted(value: Any) -> Any:
    """A value that an SDK wrote as JSON, up to twice: `"\\"AGENT\\""` is `AGENT`, `"null"` is unknown.

    Objects and arrays stay the text they are, without the quotes of text around them.
    """
    if value == "null":
        return None
    for _ in range(2):
        if not isinstance(value, str) or value[:1] != '"' or len(value) > JSON_CHARS_MAX:
            break
        try:
            found = orjson.loads(value)
        except ValueError:
            break
        if not isinstance(found, str):
            break
        value = found
    return value


def json_label(value: Any) -> str | None:
    """As `label`, of a value written as JSON."""
    return label(unquoted(value))


def json_payload(value: Any) -> str | None:
    """As `payload`, of a value written as JSON."""
    return payload(unquoted(value))


def member(parse: Callable[[Any], Any], *paths: str) -> Callable[[Any], Any]:
    """A parser of the first known of some members of a JSON object; `a.b` is a member's member."""
    steps = [path.split(".") for path in paths]

    def parse_member(value: Any) -> Any:
        members = decoded(value)
        for path in steps:
            found = members
            for step in path:
                found = found.get(step) if isinstance(found, dict) else None
            if (known := parse(found)) is not None:
                return known
        return None

    return parse_member


def unwrapped(value: Any, *wrappers: str) -> Any:
    """What a JSON object holds whose only member is one of `wrappers`; else `value`."""
    if not isinstance(value, (str, dict)) or (isinstance(value, str) and value[:1] != "{"):
        return value
    members = decoded(value)
    if isinstance(members, dict) and len(members) == 1:
        ((name, inner),) = members.items()
        return inner if name in wrappers else value
    return value
