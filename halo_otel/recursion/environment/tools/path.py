"""`path`: what led to a span."""

from typing import Any, Final

from pydantic import Field

from halo_otel.recursion.environment.arguments import Arguments, SpanId, TraceId
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, clipped, failure, page

EDGES_MAX: Final = 400
_INTO: Final = """
select edges.from_id, edges.kind from edges join spans
  on spans.trace_id = edges.trace_id and spans.span_id = edges.from_id
where edges.trace_id = ? and edges.to_id = ? order by spans.step, edges.kind
"""
_SAID: Final = """
select name, value from arguments where trace_id = ? and span_id = ? and said_by = ? order by name, value
"""
_SPAN: Final = """
select step, kind, coalesce(tool, model, name), failed, error, ms, on_path_ms
from spans where trace_id = ? and span_id = ?
"""


class Path(Arguments):
    """What leads to a span, backwards: the model call that asked for it (emission), the spans that said the
    ids it is made with (data), and what contains it (parent), and so on from there. on_path_ms is the time
    the run waited for the span. A claim that one thing causes another needs one of these edges."""

    trace_id: TraceId
    span_id: SpanId
    depth: int = Field(4, ge=1, le=20, description="edges to go back, 1 to 20")


def run(environment: Environment, asked: Path) -> Reply:
    """The edges, nearest first."""
    if not environment.rows(_SPAN, [asked.trace_id, asked.span_id]):
        return failure(
            f"there is no span {asked.span_id} in trace {asked.trace_id}: trace lists its spans"
        )
    items: list[dict[str, Any]] = []
    reached, front = {asked.span_id}, [asked.span_id]
    for distance in range(1, asked.depth + 1):
        behind: list[str] = []
        for span in front:
            for source, kind in environment.rows(_INTO, [asked.trace_id, span]):
                items.append(_edge(environment, asked.trace_id, (kind, source, span), distance))
                if source not in reached:
                    reached.add(source)
                    behind.append(source)
            if len(items) >= EDGES_MAX:
                break
        front = behind
    head = {"span_id": asked.span_id, **_told(environment, asked.trace_id, asked.span_id)}
    how = "path of the last span shown, or a smaller depth"
    return page(
        environment.fence, items[:EDGES_MAX], head=head, bytes_max=asked.bytes_max, more=how
    )


def _edge(
    environment: Environment, trace_id: str, edge: tuple[str, str, str], distance: int
) -> dict[str, Any]:
    kind, source, target = edge
    said = environment.rows(_SAID, [trace_id, target, source]) if kind == "data" else []
    return {
        "back": distance,
        "kind": kind,
        "from": source,
        "to": target,
        "said": {name: clipped(value, 80) for name, value in said[:5]},
        "source": _told(environment, trace_id, source),
    }


def _told(environment: Environment, trace_id: str, span_id: str) -> dict[str, Any]:
    (step, kind, what, failed, error, ms, on_path), *_ = environment.rows(
        _SPAN, [trace_id, span_id]
    )
    told = {
        "step": step,
        kind: clipped(what, 100),
        "failed": failed or None,
        "error": clipped(error, 120),
        "ms": round(ms, 1),
        "on_path_ms": None if on_path is None else round(on_path, 1),
    }
    return {name: value for name, value in told.items() if value is not None}
