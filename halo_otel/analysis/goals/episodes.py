"""What lies flat below a goal, parted into containers and episodes of steps.

A step is a model turn and the operations until the next one. An episode is a run of steps with one
aim: it ends where another agent takes over, after a handoff, where the plan moves to its next item,
and where a turn without calls (an answer) is followed by a new question. Agents that work side by
side keep an episode each, so that steps never mix agents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from halo_otel.analysis.goals.names import plan_item, same_name, sentence
from halo_otel.analysis.goals.shape import Shape
from halo_otel.analysis.goals.spans import Spans
from halo_otel.model.facts import SpanKind


@dataclass(slots=True)
class Step:
    """A model turn (-1: calls that no turn is known of) and the calls it made."""

    turn: int
    calls: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Episode:
    """Steps with one aim; `handed` is the agent they were handed to, `task` what was asked."""

    agent: str | None
    steps: list[Step]
    end_ns: int
    handed: str | None = None
    item: str | None = None
    task: str | None = None


class Parting:
    """Parts places, by start, one after the other."""

    def __init__(self, spans: Spans, shape: Shape, task: str | None) -> None:
        self._spans = spans
        self._shape = shape
        self.parts: list[int | Episode] = []
        self._open: dict[str | None, Episode] = {}
        self._agent: str | None = None  # of the part before
        self._flat = False  # whether that was no container
        self._before_ns = (0, 0)  # when the part before started and ended
        self._asked = task
        self._item: str | None = None
        self._handoff: str | None = None

    def part(self, places: Sequence[int]) -> list[int | Episode]:
        """Containers by their place, and episodes, in the order in which they start."""
        shape = self._shape
        for place in places:
            times = shape.start_ns[place], shape.end_ns[place]
            if shape.holds[place]:
                self.parts.append(place)
                self._agent, self._flat = None, False
            else:
                agent = shape.agents[place] or self._agent
                episode = self._continued(agent, times[0])
                if shape.turns[place]:
                    self._turn(place, agent, episode)
                else:
                    self._call(place, agent, episode)
                self._agent, self._flat = agent, True
                episode = self._open[agent]
                episode.end_ns = max(episode.end_ns, times[1])
                if self._spans.handoff[place] is not None:
                    self._handoff = self._spans.handoff[place]
                    self._open.clear()
            self._before_ns = times
        return self.parts

    def _continued(self, agent: str | None, start_ns: int) -> Episode | None:
        """The agent's episode, unless somebody else did something from start to end since."""
        episode = self._open.get(agent)
        if episode is None or (self._flat and agent == self._agent):
            return episode
        began_ns, ended_ns = self._before_ns
        return episode if episode.end_ns > began_ns or ended_ns > start_ns else None

    def _turn(self, place: int, agent: str | None, episode: Episode | None) -> None:
        told = self._task(place)
        asked = sentence(told) if told else self._asked
        answered = episode is not None and not self._calls(episode.steps[-1])
        if episode is None or (answered and asked != self._asked):
            episode = self._begin(agent)
        if asked != self._asked and not any(step.turn >= 0 for step in episode.steps):
            episode.task = asked
        self._asked = asked
        episode.steps.append(Step(place))

    def _task(self, turn: int) -> str | None:
        """What a model was asked, which structure around it does not say."""
        places = [turn, *self._shape.below[turn]]
        return next((text for place in places if (text := self._spans.task[place])), None)

    def _calls(self, step: Step) -> bool:
        """Whether a step made calls, or may have: its turn is unknown."""
        inside = self._shape.below[step.turn] if step.turn >= 0 else ()
        return bool(step.turn < 0 or step.calls) or any(
            self._spans.kind[place] == SpanKind.TOOL for place in inside
        )

    def _call(self, place: int, agent: str | None, episode: Episode | None) -> None:
        if episode is None:
            episode = self._begin(agent)
        if not episode.steps:
            episode.steps.append(Step(-1))
        plan = self._spans.plan[place]
        if plan is not None:
            episode = self._planned(plan, agent, episode)
        episode.steps[-1].calls.append(place)

    def _planned(self, plan: str, agent: str | None, episode: Episode) -> Episode:
        """The episode of the item that the plan now works on: it begins with the turn that says so."""
        item = plan_item(plan)
        if item == self._item:
            return episode
        self._item = item
        if len(episode.steps) > 1:
            step = episode.steps.pop()
            episode = self._begin(agent)
            episode.steps.append(step)
        episode.item = item
        return episode

    def _begin(self, agent: str | None) -> Episode:
        episode = Episode(agent, [], 0, item=self._item)
        if self._handoff is not None:
            if (
                agent is None
                or same_name(agent) in ("", same_name(self._handoff))
                or (agent == self._agent)
            ):
                episode.handed = self._handoff
            self._handoff = None
        self._open[agent] = episode
        self.parts.append(episode)
        return episode
