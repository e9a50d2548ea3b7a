"""The goal tree of one trace: always at least four levels, whatever shape the spans have.

    session ─ run ─ sub-goal ─ step ─ operation ─ nested
              root   agent or   model turn   tool,      whatever an
              span   chain span,  and the     retriever, operation
                     or episode   calls it    HTTP …     contains
                                  made

A *container* is a span of agents or structure (agent, chain, anything that is no operation but holds
some). Containers become sub-goals, one inside the other as the spans are; operations directly below
the run are gathered into episodes, which end where a container or another agent begins. What an
operation contains keeps its own shape on the last level. Every span is exactly one node; broken
parents make roots, cycles are cut at an edge to a later span, several roots get a run made for them.
Nothing here recurses, so depth has no limit.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.verdicts import Baseline, Draft, TreeSpan, judge
from halo_otel.analysis.wording import plain
from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import GoalNode, Level
from halo_otel.model.span import SpanId, TraceId
from halo_otel.window.view import View

_OPERATIONS: Final = frozenset(
    {
        SpanKind.LLM,
        SpanKind.TOOL,
        SpanKind.RETRIEVER,
        SpanKind.EMBEDDING,
        SpanKind.GUARDRAIL,
        SpanKind.EVALUATOR,
        SpanKind.MEMORY,
    }
)
_NAME_CHARS_MAX: Final = 80


_SPANS: Final = """
select span_id, parent_span_id, name, coalesce(span_kind, 'other'), start_ns,
       greatest(start_ns, end_ns), agent_name, session_id,
       case when span_kind = 'llm' then coalesce(model_requested, model_served)
            when span_kind in ('tool', 'retriever') then coalesce(tool_name, name) end,
       case when span_kind = 'llm' and coalesce(input_tokens, output_tokens) is not null
            then least(coalesce(input_tokens, 0), 1e12::bigint)
                 + least(coalesce(output_tokens, 0), 1e12::bigint) end,
       error_source is not null, tool_arguments, tool_result,
       case when span_kind in ('agent', 'chain') then left(input_text, 400) end
from spans where trace_id = $trace_id
"""
_BASELINES: Final = """
with peer as (
  select span_kind as kind,
         case when span_kind = 'llm' then coalesce(model_requested, model_served)
              else coalesce(tool_name, name) end as target,
         ln(greatest(end_ns::double - start_ns, 1)) as v
  from spans where span_kind in ('llm', 'tool', 'retriever')),
centre as (select kind, target, count(*) as n, median(v) as middle from peer group by all)
select kind, target, any_value(n), any_value(middle), median(abs(v - middle))
from peer join centre using (kind, target)
where target in (select unnest($targets::varchar[]))
group by kind, target
"""


def goal_tree(view: View, trace_id: str) -> list[GoalNode]:
    """The nodes of one trace in depth-first order, judged against the rest of the view; `[]` if the
    view does not know the trace."""
    rows = view.con.execute(_SPANS, {"trace_id": trace_id}).fetchall()
    spans = [TreeSpan._make(row) for row in rows]
    targets = sorted({span.target for span in spans if span.target})
    peers = view.con.execute(_BASELINES, {"targets": targets}).fetchall()
    return grow(trace_id, spans, {(p[0], p[1]): Baseline._make(p[2:]) for p in peers})


def grow(
    trace_id: str,
    spans: Sequence[TreeSpan],
    baselines: Mapping[tuple[str, str], Baseline] | None = None,
) -> list[GoalNode]:
    """The goal tree of `spans`, in any order; `[]` without spans."""
    if not spans:
        return []
    drafts = _Grower(spans).grow()
    judged = judge(drafts, baselines or {})
    return [
        GoalNode(
            index=index,
            parent=draft.parent,
            level=draft.level,
            name=draft.name,
            agent=draft.agent,
            trace_id=TraceId(trace_id),
            span_id=SpanId(draft.span.span_id if draft.span else ""),
            start_ns=node.start_ns,
            end_ns=node.end_ns,
            tokens=node.tokens,
            correctness=node.correctness,
            latency=node.latency,
            resources=node.resources,
        )
        for index, (draft, node) in enumerate(zip(drafts, judged, strict=True))
    ]


class _Plan(NamedTuple):
    """A node to be made: what it stands for and the spans below it."""

    level: Level
    parent: int
    name: str
    span: int | None
    below: list[int]
    agent: str | None


class _Grower:
    """Turns span indices, sorted by start, into drafts in depth-first order."""

    def __init__(self, spans: Sequence[TreeSpan]) -> None:
        self._spans = sorted(spans, key=lambda span: (span.start_ns, span.span_id))
        parents = _parents(self._spans)
        self._roots = [place for place, parent in enumerate(parents) if parent < 0]
        self._below: list[list[int]] = [[] for _ in parents]
        for place, parent in enumerate(parents):
            if parent >= 0:
                self._below[parent].append(place)
        downwards = list(self._preorder())
        self._agents: list[str | None] = [None] * len(parents)
        for place in downwards:
            above = self._agents[parents[place]] if parents[place] >= 0 else None
            self._agents[place] = self._spans[place].agent or above
        self._holds = [False] * len(parents)
        for place in reversed(downwards):
            self._holds[place] = self._is_container(place)

    def grow(self) -> list[Draft]:
        drafts: list[Draft] = []
        todo = [self._session()]
        while todo:
            plan = todo.pop()
            index = len(drafts)
            span = None if plan.span is None else self._spans[plan.span]
            drafts.append(Draft(plan.level, plan.parent, plan.name, plan.agent, span))
            todo.extend(reversed([below._replace(parent=index) for below in self._next(plan)]))
        return drafts

    def _next(self, plan: _Plan) -> Iterator[_Plan]:
        if plan.level is Level.SESSION:
            yield self._run()
        elif plan.level is Level.RUN:
            yield from self._subgoals(plan)
        elif plan.level is Level.SUBGOAL:
            yield from self._steps(plan)
        else:
            level = Level.OPERATION if plan.level is Level.STEP else Level.NESTED
            for place in plan.below:
                yield self._plan(level, place)

    def _session(self) -> _Plan:
        session = next((span.session for span in self._spans if span.session), None)
        name = f"session {session}" if session else "session"
        return _Plan(Level.SESSION, -1, plain(name, _NAME_CHARS_MAX), None, [], None)

    def _run(self) -> _Plan:
        root = self._roots[0]
        if len(self._roots) == 1 and self._spans[root].kind not in _OPERATIONS:
            return self._plan(Level.RUN, root)
        return _Plan(Level.RUN, -1, "run", None, self._roots, self._agents[root])

    def _subgoals(self, run: _Plan) -> Iterator[_Plan]:
        """Containers, and episodes of what lies between them."""
        episodes = 0
        for (holds, agent), places in groupby(
            run.below, key=lambda place: (self._holds[place], self._agents[place])
        ):
            if holds:
                for place in places:
                    yield self._plan(Level.SUBGOAL, place)
            else:
                episodes += 1
                name = f"episode {episodes}" + (f" of {agent}" if agent else "")
                yield _Plan(
                    Level.SUBGOAL, -1, plain(name, _NAME_CHARS_MAX), None, list(places), agent
                )
        if not run.below:
            yield _Plan(Level.SUBGOAL, -1, run.name, None, [], run.agent)

    def _steps(self, goal: _Plan) -> Iterator[_Plan]:
        """A step is a model turn and the operations until the next one; containers stay whole."""
        steps: list[_Plan] = []
        current: _Plan | None = None
        for place in goal.below:
            if self._holds[place]:
                steps.append(self._plan(Level.SUBGOAL, place))
                current = None
            elif self._spans[place].kind == SpanKind.LLM:
                current = self._plan(Level.STEP, place)
                steps.append(current)
            else:
                if current is None:
                    current = _Plan(Level.STEP, -1, "", None, [], self._agents[place])
                    steps.append(current)
                current.below.append(place)
        for number, step in enumerate(
            steps or [_Plan(Level.STEP, -1, "", None, [], goal.agent)], 1
        ):
            yield (
                step
                if step.level is Level.SUBGOAL
                else step._replace(name=self._purpose(step, number))
            )

    def _purpose(self, step: _Plan, number: int) -> str:
        """`turn 3: search_flights, book`: what a step did, from the names of its operations."""
        names = [self._spans[place].target or self._spans[place].name for place in step.below]
        done = ", ".join(dict.fromkeys(names)) or ("answer" if step.span is not None else "nothing")
        return plain(
            f"{'turn' if step.span is not None else 'step'} {number}: {done}", _NAME_CHARS_MAX
        )

    def _plan(self, level: Level, place: int) -> _Plan:
        span = self._spans[place]
        name = span.task or span.target or span.name or span.kind
        if level in (Level.RUN, Level.SUBGOAL):
            label = span.agent or span.name
            name = f"{label}: {span.task}" if span.task else label
        below = list(self._below[place])
        return _Plan(level, -1, plain(name, _NAME_CHARS_MAX), place, below, self._agents[place])

    def _is_container(self, place: int) -> bool:
        kind = self._spans[place].kind
        if kind == SpanKind.AGENT:
            return True
        return kind not in _OPERATIONS and any(
            self._holds[below] or self._spans[below].kind in _OPERATIONS
            for below in self._below[place]
        )

    def _preorder(self) -> Iterator[int]:
        todo = list(reversed(self._roots))
        while todo:
            place = todo.pop()
            yield place
            todo.extend(reversed(self._below[place]))


def _parents(spans: Sequence[TreeSpan]) -> list[int]:
    """The place of each span's parent, -1 for a root; acyclic."""
    places = {span.span_id: place for place, span in enumerate(spans)}
    parents = [places.get(span.parent_span_id, -1) for span in spans]
    reached = [False] * len(spans)
    below: list[list[int]] = [[] for _ in spans]
    for place, parent in enumerate(parents):
        if parent >= 0 and parent != place:
            below[parent].append(place)
    todo = [place for place, parent in enumerate(parents) if parent < 0]
    while todo:
        place = todo.pop()
        reached[place] = True
        todo.extend(below[place])
    # What no root reaches hangs on a cycle; without edges to later spans there is none.
    return [
        -1 if not reached[place] and parent >= place else parent
        for place, parent in enumerate(parents)
    ]
