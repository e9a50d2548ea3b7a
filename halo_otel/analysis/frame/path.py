"""`frame_path`: which spans a run waited for, and how long.

    frame_path  s, t, on_path_ns, through_ns     one row per span

The critical path of a span is found by walking back from its end: the child that ended last was waited
for, before that the child that ended last before this one began, and so on; what no child covers is the
span's own time (CRISP, USENIX ATC 2022; detectors.md §1.5). Each child on the path is walked in the same
way. `on_path_ns` is a span's own time on the path, `through_ns` that of the span and all below it: 0 for
what was hidden behind parallel work.

A span is followed if most of it lies in what is left of its parent, and as far as it does: a model's
stream may overlap the call it asked for by a little, a sibling that ran beside another does not become
its cause. What lies mostly outside of its parent (a clock that is off, work that the parent started and
did not wait for) is a root of its own, as are spans whose parent is missing. So the `on_path_ns` of a
root's tree add up to the root's duration, and none exceeds its span's.
"""

from collections.abc import Sequence
from typing import Final

import duckdb

from halo_otel.window.tables import arrow_of

TABLES: Final = ("frame_path",)

# The children of each span side by side, the one that ends last first; roots (-1) before all.
_FAMILIES: Final = """
with linked as (
  select span.s, span.start_ns, span.end_ns, least(span.end_ns, parent.end_ns) as until_ns,
         case when 2 * (until_ns - greatest(span.start_ns, parent.start_ns)) >= span.end_ns - span.start_ns
              then parent.s end as p
  from frame_span span left join frame_span parent on span.p = parent.s)
select s, coalesce(p, -1), start_ns, end_ns from linked order by p nulls first, until_ns desc, start_ns, s
"""
_KINDS: Final = {"s": "BIGINT", "on_path_ns": "BIGINT", "through_ns": "BIGINT"}


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make `frame_path` from `frame_span`."""
    families = con.sql(_FAMILIES).to_arrow_table()
    on_path, through = walk(*(column.to_pylist() for column in families.columns))
    columns: dict[str, list[object]] = {
        "s": list(range(len(on_path))),
        "on_path_ns": [*on_path],
        "through_ns": [*through],
    }
    con.from_arrow(arrow_of(_KINDS, columns)).query(
        "path",
        "create temp table frame_path as"
        " select span.s, span.t, on_path_ns, through_ns from path join frame_span span using (s)",
    )


def walk(
    spans: Sequence[int], parents: Sequence[int], starts: Sequence[int], ends: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Own and whole time on the path of each span, by its number.

    `spans` are all numbers below their count, children of one parent side by side and the last-ending
    first; -1 is the parent of roots. Parents form no cycle.
    """
    count = len(spans)
    first, last = [0] * count, [0] * count  # places of a span's children
    low, high = [0] * count, [0] * count  # the part of a span that is on the path
    waiting = []
    for place, parent in enumerate(parents):
        if parent < 0:
            span = spans[place]
            low[span], high[span] = starts[place], ends[place]
            waiting.append(span)
        else:
            if not last[parent]:
                first[parent] = place
            last[parent] = place + 1
    on_path = [0] * count
    while waiting:
        span = waiting.pop()
        begin, cursor = low[span], high[span]
        own = cursor - begin
        for place in range(first[span], last[span]):
            start, end = starts[place], ends[place]
            since = start if start > begin else begin
            until = end if end < cursor else cursor
            if until > since and 2 * (until - since) >= end - start:
                child = spans[place]
                low[child], high[child] = since, until
                own -= until - since
                cursor = since
                waiting.append(child)
        on_path[span] = own
    return on_path, [until - since for since, until in zip(low, high, strict=True)]
