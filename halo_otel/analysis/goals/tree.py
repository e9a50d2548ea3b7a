"""Goal trees: always at least four levels, whatever shape the spans have.

    session ─ run ─ sub-goal ─ step ─ operation ─ nested
              root   agent or   model turn   tool,      whatever an
              span   container  and the      retriever, operation
                     or episode calls it     HTTP …     contains
                                made

A *container* is a span of agents or structure: an agent, what contains one (a tool that runs an
agent), and a chain or anything unknown that contains operations. Containers become sub-goals, one
inside the other as the spans are; what lies flat is gathered into episodes. What an operation contains
keeps its own shape on the last level. Every span is exactly one node; broken parents hang below the
root, cycles are cut at an edge to a later span, several roots get a run made for them, and clocks that
disagree are put right and say so. How: `goals`.
"""

from collections.abc import Sequence
from typing import Final

from halo_otel.analysis.goals import names
from halo_otel.analysis.goals.growth import Growth
from halo_otel.analysis.goals.nodes import GoalTree
from halo_otel.analysis.goals.shape import Shape, shape
from halo_otel.analysis.goals.spans import Spans, read
from halo_otel.analysis.goals.verdicts import judge
from halo_otel.model.goal import GoalNode
from halo_otel.model.span import TraceId
from halo_otel.window.view import View

SESSION_TRACES_MAX: Final = 1000  # of one session; the newest are shown

_SESSION: Final = """
select trace_id from spans where session_id = $session
group by trace_id order by min(start_ns) desc, trace_id limit $traces
"""


def goal_tree(view: View, trace_id: str) -> Sequence[GoalNode]:
    """The nodes of one trace in depth-first order, judged against the rest of the view; none if the
    view does not know the trace."""
    return goal_trees(view, [trace_id]).get(TraceId(trace_id), ())


def goal_trees(view: View, trace_ids: Sequence[str]) -> dict[TraceId, Sequence[GoalNode]]:
    """The goal tree of each of these traces that the view knows, in one pass over the spans."""
    return grow(read(view, trace_ids))


def grow(spans: Spans) -> dict[TraceId, Sequence[GoalNode]]:
    """The goal tree of each trace of `spans`."""
    shaped = shape(spans)
    growth = Growth(spans, shaped)
    return {
        TraceId(spans.trace[trace.start]): _grown(growth, spans, shaped, [trace])
        for trace in shaped.traces
    }


def session_tree(view: View, session: str) -> Sequence[GoalNode]:
    """One tree of a session: its traces, oldest first, are runs side by side; none if it is unknown.

    Of a session with more than `SESSION_TRACES_MAX` traces the newest are shown.
    """
    bounds = {"session": session, "traces": SESSION_TRACES_MAX}
    spans = read(view, [row[0] for row in view.con.execute(_SESSION, bounds).fetchall()])
    shaped = shape(spans)
    traces = sorted(shaped.traces, key=lambda trace: min(shaped.start_ns[p] for p in trace))
    return _grown(Growth(spans, shaped), spans, shaped, traces) if traces else ()


def _grown(growth: Growth, spans: Spans, shaped: Shape, traces: Sequence[range]) -> GoalTree:
    session = next((said for p in traces[0] if (said := spans.session[p])), None)
    drafts = growth.session(traces, names.line(f"session {session}" if session else "session"))
    return GoalTree(drafts, judge(drafts, spans, shaped), spans, shaped)
