"""What a format is that somebody else exports."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from halo_otel.model.span import Span


def _itself(tree: dict[str, Any]) -> Iterable[Any]:
    return (tree,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How to recognise a JSON object of this format, and what its spans are.

    `pieces` gives one object per span with all that stands around it; `span` makes a span of such a
    piece, in the attribute names of the dialect it came from, or raises `BadRequest`.
    """

    name: str
    recognises: Callable[[dict[str, Any]], bool]
    span: Callable[[dict[str, Any]], Span]
    pieces: Callable[[dict[str, Any]], Iterable[Any]] = _itself
