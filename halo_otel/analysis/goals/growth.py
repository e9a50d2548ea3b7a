"""The levels of goal trees: spans, and what is made up between them, in depth-first order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from halo_otel.analysis.goals import names
from halo_otel.analysis.goals.episodes import Episode, Parting, Step
from halo_otel.analysis.goals.shape import OPERATIONS, Shape
from halo_otel.analysis.goals.spans import Spans
from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import Level

_MADE_UP: Final = -1


class Drafts(NamedTuple):
    """Columns of nodes that are not judged yet. `span` is a place in `Spans`, -1 if made up."""

    level: list[Level]
    parent: list[int]  # -1 for a session; below its children
    span: list[int]
    name: list[str]
    agent: list[str | None]


class _Plan(NamedTuple):
    """A node to be made. `inner` are its children where they are no spans of their own."""

    level: Level
    span: int
    name: str
    agent: str | None
    below: Sequence[int] = ()
    asked: str | None = None  # what is known to have been asked by then
    inner: "Sequence[_Plan]" = ()


class Growth:
    """Grows the trees of some spans."""

    def __init__(self, spans: Spans, shape: Shape) -> None:
        self._spans = spans
        self._shape = shape
        self._purposes: dict[int, str] = {}

    def session(self, traces: Iterable[range], name: str) -> Drafts:
        """One tree: a session's goal with a run for each of its traces."""
        drafts = Drafts([], [], [], [], [])
        runs = [self._run(trace) for trace in traces]
        todo = [(-1, _Plan(Level.SESSION, _MADE_UP, name, None, inner=runs))]
        while todo:
            parent, plan = todo.pop()
            index = len(drafts.level)
            drafts.level.append(plan.level)
            drafts.parent.append(parent)
            drafts.span.append(plan.span)
            drafts.name.append(plan.name)
            drafts.agent.append(plan.agent)
            if plan.level is Level.STEP:
                self._operations(drafts, index, plan.below)
            else:
                inside = plan.inner or list(self._goals(plan))
                todo.extend([(index, inner) for inner in reversed(inside)])
        return drafts

    def _operations(self, drafts: Drafts, step: int, places: Sequence[int]) -> None:
        """What a step did, and everything inside."""
        below, agents = self._shape.below, self._shape.agents
        levels, parents, spans, named, agented = drafts
        purpose = self._purpose
        todo = [(step, place) for place in reversed(places)]
        while todo:
            parent, place = todo.pop()
            if below[place]:
                index = len(levels)
                todo.extend([(index, inner) for inner in reversed(below[place])])
            levels.append(Level.OPERATION if parent == step else Level.NESTED)
            parents.append(parent)
            spans.append(place)
            named.append(purpose(place))
            agented.append(agents[place])

    def _run(self, trace: range) -> _Plan:
        """The root, where there is one and it is no operation; else something made up around them."""
        parents = self._shape.parents
        roots = [place for place in trace if parents[place] < 0]
        if len(roots) == 1 and self._spans.kind[roots[0]] not in OPERATIONS:
            return self._container(Level.RUN, roots[0], self._task(trace))
        task = self._task(trace)
        agent = self._shape.agents[roots[0]]
        label = names.line(agent or "run")
        return _Plan(Level.RUN, _MADE_UP, _titled(label, task), agent, roots, task)

    def _task(self, places: Iterable[int]) -> str | None:
        """What was asked first."""
        return next((names.sentence(text) for p in places if (text := self._spans.task[p])), None)

    def _container(self, level: Level, place: int, asked: str | None = None) -> _Plan:
        spans = self._spans
        text = spans.task[place]
        task = names.sentence(text) if text else asked
        handed = self._shape.handed.get(place)
        label = (
            f"handoff to {handed}"
            if handed
            else spans.agent[place] or names.label(spans.name[place])
        )
        agent = self._shape.agents[place]
        name = _titled(label or spans.kind[place], task if text or level is Level.RUN else None)
        return _Plan(level, place, name, agent, self._shape.below[place], task)

    def _purpose(self, place: int) -> str:
        known = self._purposes.get(place)
        if known is None:
            known = self._purposes[place] = self._worded(place)
        return known

    def _worded(self, place: int) -> str:
        spans = self._spans
        target = spans.target[place]
        if target is None:
            return names.label(spans.name[place]) or spans.kind[place]
        if spans.kind[place] == SpanKind.LLM:
            return names.line(target)
        return names.purpose(target, spans.argument[place])

    def _goals(self, goal: _Plan) -> Iterator[_Plan]:
        """The sub-goals of a run; a sub-goal without episodes has steps at once."""
        parts = Parting(self._spans, self._shape, goal.asked).part(goal.below)
        number = 0
        for part in parts or [Episode(goal.agent, [Step(_MADE_UP)], 0)]:
            if not isinstance(part, Episode):
                yield self._container(Level.SUBGOAL, part, goal.asked)
                continue
            steps = [self._step(step, number + n, part) for n, step in enumerate(part.steps, 1)]
            number += len(steps)
            title = self._title(part, goal)
            if goal.level == Level.SUBGOAL and title is None:
                yield from steps
            else:
                name = title or self._aim(part, goal.asked)
                yield _Plan(Level.SUBGOAL, _MADE_UP, name, part.agent, inner=steps)

    def _title(self, episode: Episode, goal: _Plan) -> str | None:
        """What an episode is known by; None if by nothing but its calls."""
        aim = episode.item or episode.task
        if episode.handed:
            return _titled(f"handoff to {episode.handed}", aim)
        if episode.agent and episode.agent != goal.agent:
            return _titled(episode.agent, aim or self._aim(episode))
        return aim

    def _aim(self, episode: Episode, asked: str | None = None) -> str:
        """An episode's calls; of one without any, what was asked."""
        calls = (place for step in episode.steps for place in self._made(step))
        return names.line(names.listed(map(self._purpose, calls)) or asked or "answer")

    def _step(self, step: Step, number: int, episode: Episode) -> _Plan:
        """`turn 3: search flights Ulm, book`: what a step did, from the names of its operations."""
        made = names.listed(map(self._purpose, self._made(step)))
        if step.turn < 0:
            name = f"step {number}: {made or 'nothing'}"
            return _Plan(Level.STEP, _MADE_UP, names.line(name), episode.agent, step.calls)
        inside = self._shape.below[step.turn]
        below = [*inside, *step.calls] if inside else step.calls
        name = names.line(f"turn {number}: {made or 'answer'}")
        return _Plan(Level.STEP, step.turn, name, episode.agent, below)

    def _made(self, step: Step) -> Iterable[int]:
        """The calls of a step, in or after its turn. Model calls inside are the turn itself; structure
        stands for the calls that it contains, and without any it is none of a turn's."""
        kinds, below, handoff = self._spans.kind, self._shape.below, self._spans.handoff
        inside = below[step.turn] if step.turn >= 0 else ()
        called = [p for p in inside if kinds[p] in OPERATIONS and kinds[p] != SpanKind.LLM]
        for place in step.calls:
            held = below[place] if kinds[place] == SpanKind.CHAIN else ()
            called.extend([p for p in held if kinds[p] in OPERATIONS] or [place])
        made = [p for p in called if kinds[p] != SpanKind.CHAIN or handoff[p] is not None]
        return made if made or step.turn >= 0 else called


def _titled(label: str, task: str | None) -> str:
    return names.line(f"{names.line(label, names.CHARS_MAX // 2)}: {task}" if task else label)
