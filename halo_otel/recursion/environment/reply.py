"""What a model gets back: a line of ours, then data in a fence, never more bytes than agreed.

    3 of 40 shown; the others: offset=3
    <data-9f2c…>
    {"trace_id": …}
    </data-9f2c…>

Everything that came from traces or was made of them stands in the fence, one JSON object a line. The
boundary looks random, is the same for the same window, and is broken up wherever it occurs in data.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from halo_otel.reports.contract import escape

BYTES_MIN, BYTES_DEFAULT, BYTES_MAX = 500, 6_000, 32_000
_NOTE_CHARS_MAX: Final = 160  # of the line of ours
_SHORTEST: Final = 8  # characters that a text is cut to before its object is given up

# What a person cannot see and a model can: zero-width and variation characters, tags, soft hyphens. Escaped
# like the controls, which JSON and the report's own rule escape.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200d\u2060-\u2064\u206a-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a tool. `cut` says what was left out and how to get it; None if it is whole."""

    text: str
    failed: bool = False
    cut: str | None = None


class Fence:
    """The boundary of one run's data."""

    def __init__(self, seed: str) -> None:
        self.boundary: Final = f"data-{blake2b(seed.encode(), digest_size=8).hexdigest()}"

    def around(self, data: str) -> str:
        """`data` between two marks that cannot stand in it."""
        inside = data.replace(self.boundary, self.boundary.replace("-", "\u2010", 1))
        return f"<{self.boundary}>\n{inside}\n</{self.boundary}>"


def line(item: Mapping[str, object]) -> str:
    """One object in one line without its empty members, everything unseen escaped."""
    told = {name: value for name, value in item.items() if value not in (None, "", [], {})}
    return _UNSEEN.sub(_escaped, escape(orjson.dumps(told, default=str).decode()))


def _escaped(found: re.Match[str]) -> str:
    pair = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{pair[place : place + 4]}" for place in range(0, len(pair), 4))


def failure(why: str, fence: Fence | None = None) -> Reply:
    """A short answer that says what was wrong with a call and what would be right; inside the fence if it
    may hold what a trace says, as the database's messages do."""
    told = (
        f"error: {why}" if fence is None else f"error\n{fence.around(line({'error': why[:800]}))}"
    )
    return Reply(text=told[:1_000] if fence is None else told, failed=True)


def page(
    fence: Fence,
    items: Iterable[Mapping[str, object]],
    *,
    bytes_max: int,
    head: Mapping[str, object] | None = None,
    total: int | None = None,
    offset: int = 0,
    more: str = "",
) -> Reply:
    """A reply of `head`, if any, and as many of `items` as fit into `bytes_max`.

    `items` begin at `offset` of `total` (by default they are all). What does not fit is got by a call
    with the offset that is named, or as `more` says. One item that alone does not fit is shown with its
    texts cut.
    """
    waiting = list(items)
    everything = offset + len(waiting) if total is None else total
    frame = len(fence.around("").encode()) + 1
    room = bytes_max - frame - _NOTE_CHARS_MAX
    lines: list[str] = []
    if head is not None:
        lines.append(fitting(head, room * 2 // 3))
        room -= len(lines[0].encode()) + 1
    shown = shortened = 0
    for item in waiting:
        text = line(item)
        if (size := len(text.encode()) + 1) > room:
            if shown:
                break
            text = fitting(item, room)
            size, shortened = len(text.encode()) + 1, 1
        lines.append(text)
        room -= size
        shown += 1
        if shortened:
            break
    left = everything - offset - shown
    cut = _cut(shown, offset, everything, more) if left > 0 else None
    if shortened:
        cut = f"{cut + '; ' if cut else ''}texts of the last line are cut: ask with more bytes_max"
    note = cut or (f"{shown} shown, all" if waiting else "nothing found" if head is None else "all")
    return Reply(text=f"{note[:_NOTE_CHARS_MAX]}\n{fence.around(chr(10).join(lines))}", cut=cut)


def _cut(shown: int, offset: int, everything: int, more: str) -> str:
    how = more or f"offset={offset + shown}"
    first = f"from {offset + 1} on " if offset else ""
    return f"{shown} of {everything} shown {first}; the others: {how}".replace("  ", " ").replace(
        " ;", ";"
    )


def fitting(item: Mapping[str, object], room: int) -> str:
    """`line(item)` with its longest texts and lists halved until it fits into `room` bytes."""
    kept: dict[str, Any] = dict(item)
    while len((text := line(kept)).encode()) > room:
        name = max(kept, key=lambda name: (len(str(kept[name])), name), default=None)
        if name is None:
            return text[:0] or "{}"
        value = kept[name]
        if isinstance(value, str) and len(value) > _SHORTEST:
            kept[name] = clipped(value, len(value) // 2)
        elif isinstance(value, list) and len(value) > 1:
            kept[name] = value[: len(value) // 2]
        else:
            del kept[name]
    return text


def clipped(text: str | None, chars: int) -> str | None:
    """The beginning of a text, with a mark where it is cut."""
    if text is None or len(text) <= chars:
        return text
    return f"{text[: max(0, chars - 1)]}…"
