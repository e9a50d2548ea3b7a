"""The tools that agents were offered, by the lists that stand in their traces.

A name may be qualified on one side and not on the other: MCP clients call `server__tool` or `mcp__server__tool`
what the server calls `tool`, models write `functions.tool`, frameworks `server.tool`, `server/tool` or
`server:tool`. Two names mean the same tool if one is the other's end behind such a separator; letters' case,
`-` and `_` do not matter, since the APIs of models allow only some characters.
"""

import re
from typing import Final

from halo_otel.analysis.frame import Frame
from halo_otel.analysis.wrongcalls import schemas
from halo_otel.analysis.wrongcalls.schemas import Schema

_SEPARATOR: Final = re.compile(r"__|[.:/]")

_TEXTS: Final = """
select text_id::varchar, text from texts
where text_id in (select definitions from frame_offer)
order by text_id
"""


class Offered:
    """The definitions of a frame's traces, each list read once."""

    def __init__(self, frame: Frame) -> None:
        rows = frame.con.execute(_TEXTS).fetchall()
        self._lists = {text_id: schemas.tools(text) for text_id, text in rows}
        self._names: dict[str, frozenset[str]] = {}

    def knows(self, lists: str) -> bool:
        """Whether all of these lists (ids, comma-separated) could be read."""
        return all(self._lists.get(text_id) for text_id in lists.split(","))

    def names(self, lists: str) -> frozenset[str]:
        """The names of the tools in these lists."""
        if lists not in self._names:
            self._names[lists] = frozenset(
                name for text_id in lists.split(",") for name in self._lists.get(text_id, ())
            )
        return self._names[lists]

    def schemas(self, lists: str, tool: str) -> list[Schema]:
        """The schemas of a tool's arguments in these lists; none if one of them states no schema."""
        found = [
            schema
            for text_id in lists.split(",")
            for name, schema in self._lists.get(text_id, {}).items()
            if same(name, tool)
        ]
        return [] if None in found else [schema for schema in found if schema]


def same(one: str, two: str) -> bool:
    """Whether two names mean the same tool."""
    if one == two:
        return True
    a, b = _parts(one), _parts(two)
    shorter = min(len(a), len(b))
    return a[-shorter:] == b[-shorter:]


def _parts(name: str) -> list[str]:
    parts = [part.lower().replace("-", "_") for part in _SEPARATOR.split(name) if part]
    return parts or [name]
