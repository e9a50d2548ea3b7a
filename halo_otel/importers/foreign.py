"""JSON that is not OTLP to spans: each format of the list is asked whether it knows it.

An array and an answer `{"data": […]}` of an HTTP API are looked into. A bad span costs itself only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from halo_otel.errors import BadRequest
from halo_otel.importers import halo, jaeger, langfuse, phoenix
from halo_otel.importers.kinds import Format
from halo_otel.model.span import Span

# In this order: the first that recognises an object reads it.
FORMATS: Final[tuple[Format, ...]] = (
    jaeger.FORMAT,
    langfuse.FORMAT,
    phoenix.FORMAT,
    halo.FORMAT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """The spans of a JSON text, and why other pieces of it are none."""

    spans: Sequence[Span]
    problems: tuple[str, ...] = ()


def read(tree: Any) -> Foreign | None:
    """What is in `tree`, or None if no format recognises anything in it."""
    spans: list[Span] = []
    problems: list[str] = []
    recognised = False
    for place, member in _members(tree):
        found = _format_of(member)
        if found is None:
            problems.append(f"{place}neither OTLP nor {NAMES}: {sorted(member)[:5]!r}"[:200])
            continue
        recognised = True
        for number, piece in enumerate(found.pieces(member)):
            try:
                if not isinstance(piece, dict):
                    raise BadRequest("expected an object")
                spans.append(found.span(piece))
            except BadRequest as error:
                problems.append(f"{place}{found.name} span {number + 1}: {error}")
    return Foreign(spans=spans, problems=tuple(problems)) if recognised else None


def _format_of(tree: dict[str, Any]) -> Format | None:
    for kind in FORMATS:
        if kind.recognises(tree):
            return kind
    return None


NAMES: Final = ", ".join(kind.name for kind in FORMATS)


def _members(tree: Any) -> Sequence[tuple[str, dict[str, Any]]]:
    """The objects that may be of a format, each with its place."""
    if isinstance(tree, dict) and isinstance(tree.get("data"), list):
        tree = tree["data"]
    if isinstance(tree, dict):
        return [("", tree)]
    if not isinstance(tree, list):
        return []
    return [
        (f"[{number}] ", member if isinstance(member, dict) else {})
        for number, member in enumerate(tree, start=1)
    ]
