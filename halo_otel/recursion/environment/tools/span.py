"""`span`: one span, whole."""

from typing import Any, Final, Literal, TypeAlias, get_args

from pydantic import Field

from halo_otel.recursion.environment.arguments import Arguments, SpanId, TraceId
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, failure, page

_SPAN: Final = """
select * exclude (end_ns, resource_id, asks, answers) from spans where trace_id = ? and span_id = ?
"""
_TEXT: Final = "select text from texts where text_id = ?"
_WHOLE: Final = {
    "instructions": "instructions_id",
    "tools": "tools_id",
    "documents": "documents_id",
}
TextField: TypeAlias = Literal[
    "error",
    "arguments",
    "result",
    "input",
    "output",
    "evaluations",
    "instructions",
    "tools",
    "documents",
]
FIELDS: Final[tuple[str, ...]] = get_args(TextField)


class Span(Arguments):
    """One span: its facts and its texts (error, arguments, result, input, output, evaluations, and of model
    calls the instructions, tools and documents). Long texts are cut; name a field and an offset in
    characters to read on. This is where quotes come from."""

    trace_id: TraceId
    span_id: SpanId
    field: TextField | None = Field(None, description="read only this text; null: all, shortened")
    offset: int = Field(0, ge=0, description="characters of the field to skip")


def run(environment: Environment, asked: Span) -> Reply:
    """The span, or a piece of one text."""
    facts = facts_of(environment, asked.trace_id, asked.span_id)
    if facts is None:
        return failure(
            f"there is no span {asked.span_id} in trace {asked.trace_id}: trace lists its spans"
        )
    if asked.field is not None:
        return _piece(environment, asked, asked.field, text_of(environment, facts, asked.field))
    texts: dict[str, str] = {}
    for name in FIELDS:
        text = text_of(environment, facts, name)
        if text and text not in texts.values():  # a call's arguments are often its input, too
            texts[name] = text
    share = max(60, asked.bytes_max // (3 * max(1, len(texts))))
    items = [_beginning(name, text, share) for name, text in texts.items()]
    head = {name: value for name, value in facts.items() if name not in (*FIELDS, *_WHOLE.values())}
    return page(environment.fence, items, head=head, bytes_max=asked.bytes_max, more="name a field")


def facts_of(environment: Environment, trace_id: str, span_id: str) -> dict[str, Any] | None:
    """All that is known about a span; None if there is none."""
    found = environment.database.records(_SPAN, [trace_id, span_id])
    return found[0] if found else None


def text_of(environment: Environment, facts: dict[str, Any], field: str) -> str | None:
    """A text of a span, as it may be shown."""
    if field not in _WHOLE:
        text: str | None = facts[field]
        return text
    rows = environment.rows(_TEXT, [facts[_WHOLE[field]]])
    return rows[0][0] if rows else None


def _beginning(name: str, text: str, chars: int) -> dict[str, Any]:
    if len(text) <= chars:
        return {"field": name, "text": text}
    how = f"field={name!r}, offset={chars}"
    return {"field": name, "text": text[:chars], "chars": len(text), "goes_on": how}


def _piece(environment: Environment, asked: Span, field: str, text: str | None) -> Reply:
    if not text:
        return failure(f"span {asked.span_id} has no {field}: call span without a field")
    # A character takes at most twelve bytes as it is escaped; what surely fits is shown.
    room = asked.bytes_max - 600
    piece = text[asked.offset : asked.offset + room]
    while len(piece.encode()) + 6 * _escaped(piece) > room:
        piece = piece[: len(piece) * 3 // 4]
    end = asked.offset + len(piece)
    item = {"field": field, "from": asked.offset, "to": end, "of": len(text), "text": piece}
    if end >= len(text):
        return page(environment.fence, [item], bytes_max=asked.bytes_max)
    how = f"field={field!r}, offset={end}"
    return page(environment.fence, [item], total=2, bytes_max=asked.bytes_max, more=how)


def _escaped(text: str) -> int:
    return sum(not char.isprintable() or char in '"\\' for char in text)
