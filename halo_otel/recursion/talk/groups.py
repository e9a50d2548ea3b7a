"""The groups of a query's rows as a sub-model sees each of them, and what it may answer about one."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from halo_otel.errors import BadQuery
from halo_otel.llm.conversation import Schema
from halo_otel.recursion.claims.verify import plain
from halo_otel.recursion.environment.arguments import strict_object
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import line, page

GROUP_BYTES, CELL_CHARS = 6_000, 2_000  # that are shown of one group, and of one text
ROWS_MAX: Final = 20_000  # that one call reads
_READ_BYTES: Final = 16 << 20
TEXT_CHARS_MAX, QUOTE_CHARS_MAX = 200, 300  # of an answer
NUMBER, TEXT = ("number",), ("text",)

_COUNT: Final = """
select count(*) from (select grp from (
{sql}
) as asked(grp) group by grp)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows with the same first column: its text, how many, and what is shown of the others, fenced."""

    name: str | None
    rows: int
    told: str
    words: str = field(repr=False)  # all that stands in the rows, to look for quotes in


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The first groups of a query, in its order; how many others there are, and whether rows were not read."""

    groups: tuple[Group, ...]
    left_out: int
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer about a group; without one, `problem` says why there is none."""

    answer: str | float | None = None
    quote: str | None = None
    problem: str = ""


def groups_of(environment: Environment, sql: str, groups_max: int) -> Groups:
    """The groups of the rows of `sql`, told apart by `CELL_CHARS` of the first column. Raises `BadQuery`."""
    database = environment.database
    asked = database.ask(sql, rows=ROWS_MAX, bytes_max=_READ_BYTES, cell_chars=CELL_CHARS)
    if len(asked.columns) < 2:
        raise BadQuery("select two or more columns: the group's name, then what is shown of it")
    names = [
        name if asked.columns.count(name) == 1 else f"{name}_{place}"
        for place, name in enumerate(asked.columns)
    ][1:]
    members: dict[str | None, list[dict[str, Any]]] = {}
    for first, *others in asked.rows:
        members.setdefault(_name(first), []).append(dict(zip(names, others, strict=True)))
    count = len(members)
    if asked.more:
        inner = sql.rstrip().rstrip(";")
        ((count,),) = database.ask(_COUNT.format(sql=inner), rows=1).rows
    chosen = list(members.items())[:groups_max]
    return Groups(
        groups=tuple(_group(environment, name, rows) for name, rows in chosen),
        left_out=count - len(chosen),
        is_cut=asked.more,
    )


def _name(value: Any) -> str | None:
    """As the database writes it, so that the answers can be joined with other tables."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _group(environment: Environment, name: str | None, rows: Sequence[dict[str, Any]]) -> Group:
    told = page(environment.fence, rows, bytes_max=GROUP_BYTES, more="not shown").text
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    words = plain("\n".join([*texts, *(line(row) for row in rows)]))
    return Group(name=name, rows=len(rows), told=told, words=words)


def answer_schema(answers: Sequence[str]) -> Schema:
    """What the sub-model writes: an answer of this form, or null, and the words that show it, or null."""
    kinds: dict[tuple[str, ...], dict[str, Any]] = {
        NUMBER: {"type": ["number", "null"]},
        TEXT: {"type": ["string", "null"]},
    }
    labels = {"type": ["string", "null"], "enum": [*answers, None]}
    properties = {
        "quote": {"type": ["string", "null"]},
        "answer": kinds.get(tuple(answers), labels),
    }
    return Schema(name="answer", schema=strict_object(properties))


def complaint(written: dict[str, Any], answers: Sequence[str]) -> str:
    """What is wrong with an answer; "" if it is one."""
    answer, quote = written.get("answer"), written.get("quote")
    if set(written) != {"answer", "quote"}:
        return "write the members answer and quote"
    if quote is not None and not (isinstance(quote, str) and len(quote) <= QUOTE_CHARS_MAX):
        return f"quote is at most {QUOTE_CHARS_MAX} characters of the data, or null"
    if answer is None:
        return ""
    if tuple(answers) == NUMBER:
        is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
        return "" if is_number and math.isfinite(answer) else "answer is a number, or null"
    if tuple(answers) == TEXT:
        fits = isinstance(answer, str) and 0 < len(answer) <= TEXT_CHARS_MAX
        return "" if fits else f"answer is a text of 1 to {TEXT_CHARS_MAX} characters, or null"
    return "" if answer in answers else f"answer is one of {json.dumps(list(answers))}, or null"


def said_of(written: dict[str, Any], group: Group) -> tuple[Said, bool]:
    """An answer without a complaint, and whether its quote was let go because the group does not say it."""
    answer, quote = written["answer"], plain(written["quote"] or "")
    is_found = bool(quote) and quote in group.words
    said = Said(
        answer=_clean(answer) if isinstance(answer, str) else answer,
        quote=_clean(quote) if is_found else None,
        problem="" if answer is not None else "the data does not tell",
    )
    return said, bool(quote) and not is_found


def _clean(text: str) -> str:
    """`text` without halves of surrogate pairs, which no column can hold."""
    return text.encode("utf-8", "replace").decode()
