"""A run as it happens: who is asked, who says and calls what, and when. No dialect yet."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from halo_otel.model.span import Resource
from tests.eval.alpha.application import Application, Tool

Kind = Literal["entry", "agent", "node", "model", "call", "handoff", "inner"]
_NS: Final = 1_000_000_000
_CHARS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call as the model asks for it."""

    id: str
    tool: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of a conversation; `answers` is the call id of a tool's message."""

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[Call, ...] = ()
    answers: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error: its type and message; a `soft` one is told in the result, not in the status."""

    type: str
    message: str
    soft: bool = False


@dataclass(slots=True, kw_only=True)
class Step:
    """Something that becomes a span; it changes while the run goes on."""

    id: str
    parent: str
    kind: Kind
    name: str
    agent: str
    start_ns: int
    end_ns: int = 0
    heard: tuple[Said, ...] = ()
    said: Said | None = None
    system: str = ""
    call: Call | None = None
    result: str | None = None
    problem: Problem | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    max_tokens: int = 0
    finish: str = ""
    turn: str = ""  # of a call: the model's turn that asked for it
    recorded: bool = True
    exported: bool = True


@dataclass(slots=True, kw_only=True)
class Tale:
    """One run: its steps in the order they began."""

    rng: random.Random
    app: Application
    trace_id: str
    session: str
    resource: Resource
    model: str
    now_ns: int
    definitions: bool = True
    recorded: bool = True
    pace: float = 0.45  # sigma of the log-normal durations
    soft_errors: bool = False
    inners: bool = False  # whether calls have the HTTP client's span in them
    slow: Mapping[str, float] = field(default_factory=dict)  # tool: how many times slower it is
    appendix: str = ""  # what the user pasted under the request
    variant: int = 0  # which of several forms a fault has, the same in a whole window
    offered: tuple[Tool, ...] = ()
    steps: list[Step] = field(default_factory=list)

    def begin(self, kind: Kind, name: str, *, parent: str, agent: str) -> Step:
        step = Step(
            id=f"{self.rng.getrandbits(64) | 1:016x}",
            parent=parent,
            kind=kind,
            name=name,
            agent=agent,
            start_ns=self.now_ns,
            recorded=self.recorded,
        )
        self.steps.append(step)
        return step

    def end(self, step: Step) -> None:
        step.end_ns = max(self.now_ns, step.start_ns + 1)

    def wait(self, seconds: float) -> None:
        self.now_ns += max(1, int(seconds * _NS))

    def some(self, median_s: float) -> float:
        """A duration in seconds."""
        return self.rng.lognormvariate(0, self.pace) * median_s

    def takes(self, tool: str) -> float:
        """How long a call of `tool` lasts, in seconds."""
        known = self.app.by_name.get(tool)
        return self.some(known.seconds if known else 0.4) * self.slow.get(tool, 1)


class Actor:
    """An agent at work: keeps its conversation, and takes turns."""

    def __init__(
        self, tale: Tale, name: str, *, parent: str = "", system: str = "", own_span: bool = True
    ) -> None:
        self.tale, self.name = tale, name
        self.system = system or tale.app.system(name)
        self.history: list[Said] = []
        self.span = tale.begin("agent", name, parent=parent, agent=name) if own_span else None
        self.parent = self.span.id if self.span else parent
        self.padding_tokens = 0  # what the prompt holds besides the conversation

    def hear(self, text: str) -> None:
        """A message to the agent; the first opens its span's conversation."""
        self.history.append(Said(role="user", text=text))
        if self.span and not self.span.heard:
            self.span.heard = (self.history[-1],)

    def turn(
        self,
        text: str,
        calls: Sequence[Call] = (),
        *,
        finish: str = "",
        output_tokens: int = 0,
        problem: Problem | None = None,
    ) -> Step:
        """A model call; a turn with a problem brings no message."""
        tale = self.tale
        step = tale.begin("model", tale.model, parent=self.parent, agent=self.name)
        step.system, step.heard, step.max_tokens = self.system, tuple(self.history), 1024
        said = Said(role="assistant", text=text, calls=tuple(calls))
        chars = len(self.system) + sum(_size(one) for one in self.history)
        step.input_tokens = 180 + chars // _CHARS_PER_TOKEN + self.padding_tokens
        tale.wait(tale.some(1.3))
        tale.end(step)
        step.problem = problem
        if problem is None:
            step.said = said
            step.output_tokens = output_tokens or 12 + _size(said) // _CHARS_PER_TOKEN
            step.finish = finish or ("tool_calls" if calls else "stop")
            self.history.append(said)
        tale.wait(0.004)
        return step

    def asks(self, tool: str, arguments: Mapping[str, object]) -> Call:
        return Call(id=f"call_{self.tale.rng.getrandbits(60):015x}", tool=tool, arguments=arguments)

    def run(
        self,
        turn: Step,
        call: Call,
        result: str,
        *,
        problem: Problem | None = None,
        seconds: float | None = None,
    ) -> Step:
        """Carry out a call that `turn` asked for."""
        step, seconds = self.begin_call(turn, call), seconds or self.tale.takes(call.tool)
        if self.tale.inners and call.tool in self.tale.app.by_name:
            inner(self, step, seconds)
        else:
            self.tale.wait(seconds)
        self.end_call(step, result, problem)
        return step

    def begin_call(self, turn: Step, call: Call) -> Step:
        step = self.tale.begin("call", call.tool, parent=self.parent, agent=self.name)
        step.call, step.turn = call, turn.id
        return step

    def end_call(self, step: Step, result: str, problem: Problem | None = None) -> None:
        if problem is not None:
            problem = replace(problem, soft=problem.soft or self.tale.soft_errors)
            result = f"Error: {problem.type}: {problem.message}"
        self.tale.end(step)
        step.result, step.problem = result, problem
        assert step.call is not None, "a call step holds its call"
        self.history.append(
            Said(role="tool", text=result, answers=step.call.id, tool=step.call.tool)
        )
        self.tale.wait(0.003)

    def use(
        self,
        tool: Tool | str,
        arguments: Mapping[str, object],
        result: str,
        *,
        why: str = "",
        problem: Problem | None = None,
        seconds: float | None = None,
    ) -> tuple[Step, Step]:
        """A turn with one call, and the call."""
        call = self.asks(tool if isinstance(tool, str) else tool.name, arguments)
        turn = self.turn(why, [call])
        return turn, self.run(turn, call, result, problem=problem, seconds=seconds)

    def use_together(
        self, uses: Sequence[tuple[Tool, Mapping[str, object], str]]
    ) -> tuple[Step, list[Step]]:
        """A turn with several calls that run side by side."""
        calls = [self.asks(tool.name, arguments) for tool, arguments, _ in uses]
        turn = self.turn("", calls)
        began, latest, steps = self.tale.now_ns, 0, []
        for call, (_, _, result) in zip(calls, uses, strict=True):
            self.tale.now_ns = began
            steps.append(self.run(turn, call, result))
            latest = max(latest, self.tale.now_ns)
        self.tale.now_ns = latest
        return turn, steps

    def leave(self, text: str, problem: Problem | None = None) -> None:
        """End the agent's span with what it answered."""
        if self.span:
            self.tale.wait(0.002)
            self.span.said = Said(role="assistant", text=text) if text else None
            self.span.problem = problem
            self.tale.end(self.span)


def inner(actor: Actor, call: Step, seconds: float, problem: Problem | None = None) -> Step:
    """What a tool does itself: a request to a service behind it."""
    tale = actor.tale
    tale.wait(0.001)
    step = tale.begin("inner", "POST", parent=call.id, agent=actor.name)
    tale.wait(seconds)
    step.problem = problem
    tale.end(step)
    tale.wait(0.001)
    return step


def _size(said: Said) -> int:
    return len(said.text) + 60 * len(said.calls)
