"""Payloads that stand there and are unknown all the same: empty, redacted, truncated.

Two truncated argument lists that look the same need not be the same, so they are no fact. A cut is
seen where JSON does not close and where a marker says so; plain text that an attribute limit
(`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`) ended without a word looks whole.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any, Final

from halo_otel.agentspan.source import Parse, Read, Reading, Source
from halo_otel.agentspan.values import JSON_CHARS_MAX, has_redacted_member, is_redacted, payload

# What begins like this is JSON; "[1/3] done" and "{name}" are words.
_JSON_BEGINS: Final = re.compile(r'[\[{]\s*(?:[{\["]|$)')
_JSON_ENDS: Final = {"{": "}", "[": "]"}
# "...[truncated]", "<truncated due to size exceeding limit>" (Langfuse), "[TRUNCATED - Content
# exceeds 60KB limit]" (Claude Code), "[This value has been truncated]", "… (truncated)".
_MARKER: Final = re.compile(
    r"""[\[<(](?:\.\.\.|…|\s)*(?:[\w ]{1,40} )?truncated\b[^\[<(]{0,80}[\]>)](?:\.\.\.|…|["\s])*\Z""",
    re.IGNORECASE,
)
_MARKER_ENDS: Final = frozenset(']>)…"\n ')
_MARKER_CHARS_MAX: Final = 160
# A literal or an escape that was cut in the middle: `tru`, `\u00e`.
_CUT_TOKEN_CHARS_MAX: Final = 6
_DECODER: Final = json.JSONDecoder()


def is_cut(text: str) -> bool:
    """Whether `text` says by its form that its end is missing."""
    if text[0] in _JSON_ENDS and _is_open(text):
        return True
    return (
        text[-1] in _MARKER_ENDS and _MARKER.search(text, len(text) - _MARKER_CHARS_MAX) is not None
    )


def _is_open(text: str) -> bool:
    """Whether JSON begins here and ends inside an object or an array. Text after it is no cut.

    Where the braces are balanced nothing is parsed; a cut right behind one in a text stays unseen.
    """
    begin, end = text[0], _JSON_ENDS[text[0]]
    if text.endswith(end) and text.count(begin) <= text.count(end):
        return False
    if not _JSON_BEGINS.match(text):
        return False
    if len(text) > JSON_CHARS_MAX:
        return not text.rstrip().endswith(end)
    whole = text.rstrip()
    try:
        _DECODER.raw_decode(whole)
    except json.JSONDecodeError as error:
        at_end = error.pos >= len(whole) - _CUT_TOKEN_CHARS_MAX
        return at_end or error.msg.startswith("Unterminated string")
    except RecursionError:
        return not whole.endswith(end)
    return False


def reason(value: Any) -> str | None:
    """Why a payload is unknown: "empty", "truncated" or "redacted"; None if nothing tells."""
    if value is None or value == b"" or (isinstance(value, str) and not value.strip()):
        return "empty"
    if isinstance(value, str) and is_redacted(value):
        return "redacted"
    text = value if isinstance(value, str) else payload(value)
    if text is None:
        return None
    if is_cut(text):
        return "truncated"
    return "redacted" if has_redacted_member(text) else None


def whole(rows: Iterable[Source]) -> tuple[Source, ...]:
    """`rows`, but what is cut is no fact."""
    return tuple(
        replace(
            row,
            parse=row.parse and _whole_parse(row.parse),
            read=row.read and _whole_read(row.read),
        )
        for row in rows
    )


def reasons(rows: Iterable[Source]) -> tuple[Source, ...]:
    """Rows that tell why `whole(rows)` yield nothing; each attribute is asked once."""
    places = {
        (row.dialect, row.key, row.kinds): replace(row, parse=_reason(row.parse))
        for row in rows
        if row.parse is not None
    }
    return tuple(places.values())


@cache
def _whole_parse(parse: Parse) -> Parse:
    def parse_whole(value: Any) -> Any:
        known = parse(value)
        return None if known and is_cut(known) else known

    return parse_whole


@cache
def _whole_read(read: Read) -> Read:
    def read_whole(reading: Reading) -> Any:
        known = read(reading)
        return None if known and is_cut(known) else known

    return read_whole


@cache
def _reason(parse: Parse) -> Parse:
    def parse_reason(value: Any) -> str | None:
        return "truncated" if parse(value) is not None else reason(value)

    return parse_reason
