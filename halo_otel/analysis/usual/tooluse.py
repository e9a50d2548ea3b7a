"""How tools are called, learned: mergeable counts of traces per tool, shape of arguments and reference.

A trace counts once for a tool, once for each shape of arguments it calls it with and once for each value
it refers to something by, so that one runaway trace is not the rule (detectors.md §0.2). Counts are added,
in any order. A tool that is called in more ways than `SHAPES_MAX` has no schema to be learned (its arguments
are a map); it stays so whatever is added.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from halo_otel.analysis.frame import Frame

SHAPES_MAX: Final = 300  # ways to call one tool
REFERENCES_MAX: Final = 200  # arguments of one tool whose values look like ids
_NAME_CHARS_MAX: Final = 64
_USES_PER_TRACE: Final = 4

_CALLS: Final = """
select service, tool, count(*) as traces, count(*) filter (ok) as ok
from (select service, tool, t, bool_or(not failed) as ok from frame_call group by all)
group by all
"""
_SHAPES: Final = """
select service, tool, shape, count(*) as traces, count(*) filter (ok) as ok
from (select service, tool, shape, t, bool_or(not failed) as ok from frame_shape group by all)
group by all
"""
_REFERENCES: Final = """
with used as (
  select service, tool, name, t, value, bool_or(src is not null) as grounded,
         bool_and(failed or denied) as refused
  from frame_argument argument join (select s, failed from frame_call) call using (s)
  where is_id and length(name) <= $name_max
  group by service, tool, name, t, value
  qualify row_number() over (partition by service, tool, name, t order by hash(value), value) <= $uses)
select service, tool, name, count(*) filter (not refused) as uses,
       count(*) filter (not refused and grounded) as grounded,
       count(*) filter (not grounded) as loose, count(*) filter (not grounded and refused) as refused,
       count(*) filter (grounded and refused) as failed
from used group by all
"""


class Tool(NamedTuple):
    """A tool of a service."""

    service: str
    name: str


class Use(NamedTuple):
    """Traces that make such a call, and those of them in which one of these calls succeeds."""

    traces: int
    ok: int


class References(NamedTuple):
    """Distinct id-like values per trace: those that some call succeeds with, and how many of them were said earlier
    in the trace; all that were not said, and how many of them no call succeeds with; those that were said and no
    call succeeds with.

    What fails, or is answered that there is no such thing, teaches nothing about an argument: invented values
    are what is looked for.
    """

    uses: int
    grounded: int
    loose: int
    refused: int
    failed: int


Shapes = Mapping[str, Use] | None  # None: too many to mean anything
Arguments = Mapping[str, References] | None
_Counts = TypeVar("_Counts", Use, References)


_NEVER: Final = Use(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """What is known about one tool."""

    calls: Use = _NEVER
    shapes: Shapes = field(default_factory=dict)
    references: Arguments = field(default_factory=dict)


def learn(frame: Frame) -> dict[Tool, ToolUse]:
    """How the tools of the frame's traces are called."""
    con = frame.con
    shapes: dict[Tool, dict[str, Use]] = {}
    for service, tool, shape, *counts in con.execute(_SHAPES).fetchall():
        shapes.setdefault(Tool(service, tool), {})[shape] = Use(*counts)
    references: dict[Tool, dict[str, References]] = {}
    rows = con.execute(_REFERENCES, {"name_max": _NAME_CHARS_MAX, "uses": _USES_PER_TRACE})
    for service, tool, name, *counts in rows.fetchall():
        references.setdefault(Tool(service, tool), {})[name] = References(*counts)
    return {
        (key := Tool(service, tool)): ToolUse(
            calls=Use(*counts),
            shapes=_bounded(shapes.get(key, {}), SHAPES_MAX),
            references=_bounded(references.get(key, {}), REFERENCES_MAX),
        )
        for service, tool, *counts in con.execute(_CALLS).fetchall()
    }


def merge(learned: Iterable[Mapping[Tool, ToolUse]]) -> dict[Tool, ToolUse]:
    """How tools are called in all traces together."""
    together: dict[Tool, ToolUse] = {}
    for tools in learned:
        for tool, use in tools.items():
            known = together.get(tool)
            together[tool] = use if known is None else _add(known, use)
    return together


def _add(one: ToolUse, two: ToolUse) -> ToolUse:
    return ToolUse(
        calls=Use(one.calls.traces + two.calls.traces, one.calls.ok + two.calls.ok),
        shapes=_summed(one.shapes, two.shapes, SHAPES_MAX),
        references=_summed(one.references, two.references, REFERENCES_MAX),
    )


def _summed(
    one: Mapping[str, _Counts] | None, two: Mapping[str, _Counts] | None, limit: int
) -> Mapping[str, _Counts] | None:
    if one is None or two is None:
        return None
    summed = dict(one)
    for name, counts in two.items():
        known = summed.get(name)
        if known is not None:
            counts = type(counts)(*(a + b for a, b in zip(known, counts, strict=True)))
        summed[name] = counts
    return _bounded(summed, limit)


def _bounded(counts: Mapping[str, _Counts], limit: int) -> Mapping[str, _Counts] | None:
    return counts if len(counts) <= limit else None
