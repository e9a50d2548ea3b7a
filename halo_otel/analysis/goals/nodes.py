"""The finished tree: columns inside, goal nodes outside."""

from bisect import bisect
from collections.abc import Sequence
from typing import Final, overload

from halo_otel.analysis.goals.growth import Drafts
from halo_otel.analysis.goals.shape import Shape
from halo_otel.analysis.goals.spans import Spans
from halo_otel.analysis.goals.verdicts import Judged
from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import GoalNode, Level
from halo_otel.model.span import SpanId, TraceId

_KINDS: Final = {kind.value: kind for kind in SpanKind}


class GoalTree(Sequence[GoalNode]):
    """Goal nodes in depth-first order. A node is made when it is looked at, which costs as much as all
    the rest of it."""

    def __init__(self, drafts: Drafts, judged: Judged, spans: Spans, shape: Shape) -> None:
        self._drafts = drafts
        self._judged = judged
        self._spans = spans
        self._shape = shape
        self._runs = [n for n, level in enumerate(drafts.level) if level is Level.RUN]
        self._traces = [self._trace(run) for run in self._runs]

    def __len__(self) -> int:
        return len(self._drafts.level)

    @overload
    def __getitem__(self, index: int) -> GoalNode: ...
    @overload
    def __getitem__(self, index: slice) -> list[GoalNode]: ...
    def __getitem__(self, index: int | slice) -> GoalNode | list[GoalNode]:
        if isinstance(index, slice):
            return [self._node(place) for place in range(*index.indices(len(self)))]
        return self._node(range(len(self))[index])

    def _trace(self, run: int) -> TraceId:
        """The trace of a run, which may be made up and stand above its spans."""
        place = next(place for place in self._drafts.span[run:] if place >= 0)
        return TraceId(self._spans.trace[place])

    def _node(self, index: int) -> GoalNode:
        drafts, judged, spans = self._drafts, self._judged, self._spans
        place = drafts.span[index]
        kind = _KINDS.get(spans.kind[place]) if place >= 0 else None
        return GoalNode(
            index=index,
            parent=drafts.parent[index],
            level=drafts.level[index],
            name=drafts.name[index],
            kind=kind,
            agent=drafts.agent[index],
            tool=None if kind is None or kind is SpanKind.LLM else spans.target[place],
            trace_id=self._traces[max(0, bisect(self._runs, index) - 1)],
            span_id=SpanId(spans.id[place] if place >= 0 else ""),
            start_ns=judged.start_ns[index],
            end_ns=judged.end_ns[index],
            shift_ns=self._shape.shift_ns[place] if place >= 0 else 0,
            tokens=judged.tokens[index],
            cost=judged.cost[index],
            correctness=judged.correctness[index],
            latency=judged.latency[index],
            resources=judged.resources[index],
            parallel=judged.parallel[index],
        )
