"""Long texts that stand in a window once and are referenced by their content.

A conversation that is sent again with each turn would be stored as often as it has turns. So ingest
(`ingest.texts`) cuts a long text of an attribute, event or log body into pieces, and what is stored in
its place is a reference, next to the markers of `otlp.anyvalue`:

    {"$texts":["<32 hex digits of each piece's id, one after another>","<what follows the last>"]}

The pieces and what follows, one after another, are the text, to the character. No sender can forge a
reference: a key-value list with that one key is stored with `$$`, and inside a text quotes are escaped.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import orjson

from halo_otel.errors import StateDamaged
from halo_otel.otlp.anyvalue import to_json

if TYPE_CHECKING:
    from halo_otel.duck import Connection

_ID_BYTES: Final = 16
_ID_DIGITS: Final = 2 * _ID_BYTES
_OPENING: Final = '{"$texts":["'
# For DuckDB. Python's would remember a place to go back to for each character of a text that only begins
# like a reference; there is none to go back to.
_PATTERN: Final = r'\{"\$texts":\["((?:[0-9a-f]{32})+)",("(?:[^"\\]|\\.)*")\]\}'
_REFERENCE: Final = re.compile(_PATTERN.replace(")+)", ")++)").replace(")*", ")*+"))

# Cells that may hold references, and columns that are ids of whole texts.
_REFERRING: Final = {"spans": ("attributes", "events"), "log_records": ("attributes", "body")}
_WHOLE: Final = ("system_instructions", "tool_definitions", "retrieval_documents")

_LOOKUP: Final = (
    "FROM all_texts SELECT any_value(replace(text_id::VARCHAR, '-', '')), any_value(text)"
    " WHERE text_id IN (SELECT unnest($ids::UUID[])) GROUP BY text_id"
)


def text_id(text: str) -> bytes:
    """The id of `text`: 128 bits of BLAKE2b (RFC 7693) over its UTF-8.

    Strangers write the texts. With 64 bits somebody could make two of one id in an afternoon, and
    show one where the other was sent; with 128 that takes 2^64 steps.
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_ID_BYTES).digest()


def reference(ids: bytes, rest: str) -> orjson.Fragment:
    """What `to_json` writes for the text made of the pieces with these ids, joined, and `rest`."""
    return orjson.Fragment(f'{_OPENING}{ids.hex()}",{to_json(rest)}]}}')


def whole(
    con: "Connection", rows: Sequence[tuple[Any, ...]], places: Sequence[int]
) -> list[tuple[Any, ...]]:
    """`rows` with the references in the JSON cells at `places` replaced by their texts.

    One query, whatever the number of rows, on the relation `all_texts`. Raises `StateDamaged` for a
    text that is not there: it was committed together with the row that refers to it.
    """
    cells = [cell for row in rows for place in places if _OPENING in (cell := row[place])]
    if not cells:
        return list(rows)
    ids = {id_ for cell in cells for found in _REFERENCE.finditer(cell) for id_ in _ids(found)}
    texts: dict[str, str] = dict(con.execute(_LOOKUP, {"ids": list(ids)}).fetchall())

    def text(found: re.Match[str]) -> str:
        try:
            pieces = [texts[id_] for id_ in _ids(found)]
        except KeyError as error:
            raise StateDamaged(
                f"text {error} is not in the windows that refer to it; move the damaged window away"
            ) from error
        return orjson.dumps("".join([*pieces, orjson.loads(found[2])])).decode()

    replaced = set(places)
    return [
        tuple(
            _REFERENCE.sub(text, cell) if place in replaced and _OPENING in cell else cell
            for place, cell in enumerate(row)
        )
        for row in rows
    ]


def referenced(database: str) -> str:
    """The query of the ids, repeated, of the texts that the rows of a database's tables refer to."""
    parts = [
        f"FROM {database}.{table} SELECT unnest({pieces_in(cell)}) AS text_id"
        for table, cells in _REFERRING.items()
        for cell in cells
    ]
    parts += [
        f"FROM {database}.spans SELECT {name} AS text_id WHERE {name} IS NOT NULL"
        for name in _WHOLE
    ]
    return " UNION ALL ".join(parts)


def pieces_in(cell: str) -> str:
    """The SQL expression of the list of ids of the pieces that a JSON cell refers to, in order."""
    digits = f"array_to_string(regexp_extract_all({cell}, '{_PATTERN}', 1), '')"
    cut = f"regexp_extract_all({digits}, '[0-9a-f]{{{_ID_DIGITS}}}')"
    return f"CASE WHEN contains({cell}, '{_OPENING}') THEN {cut}::UUID[] ELSE [] END"


# The relation `pieces` of a view.
PIECES: Final = f"""
FROM (FROM spans SELECT trace_id, span_id, {pieces_in("attributes")} AS ids)
SELECT trace_id, span_id, generate_subscripts(ids, 1) AS ordinal, unnest(ids) AS text_id
"""


def _ids(found: re.Match[str]) -> list[str]:
    digits = found[1]
    return [digits[start : start + _ID_DIGITS] for start in range(0, len(digits), _ID_DIGITS)]
