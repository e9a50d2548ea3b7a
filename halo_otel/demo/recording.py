"""What an application does in one run, before any telemetry convention puts it into words.

A `Run` holds a tree of `Call`s and its own clock; an `Agent` is the pen: each `use` is a model turn
that asks for a tool, and the tool's execution. Dialects turn the finished tree into spans.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeAlias

from halo_otel.clock import NS_PER_MS, NS_PER_S
from halo_otel.model.facts import SpanKind

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Arguments: TypeAlias = dict[str, Json]

CHARS_PER_TOKEN = 4  # the usual rule of thumb for English text
SYSTEM_TOKENS = 350  # the system prompt and tool definitions every model turn carries
# Frameworks with a message window send the goal and the newest messages only; so do we, which keeps
# a recorded model call near 2 kB instead of growing with the square of the run.
MESSAGES_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool and how long it takes: lognormal with this median and sigma of the logarithm."""

    name: str
    median_s: float
    sigma: float = 0.5
    kind: SpanKind = SpanKind.TOOL
    host: str | None = None  # a remote API: its HTTP client span appears below the tool's


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception as instrumentations record it."""

    type: str
    message: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One intended use of a tool and what it would answer."""

    tool: Tool
    arguments: Arguments
    result: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A tool call as a model's answer asks for it."""

    call_id: str
    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: str
    text: str = ""
    asked: tuple[Asked, ...] = ()
    call_id: str = ""

    @property
    def chars(self) -> int:
        return len(self.text) + sum(len(json.dumps(a.arguments)) + len(a.name) for a in self.asked)


@dataclass(slots=True, kw_only=True)
class Call:
    """One operation of a run. `turn` counts the model turns of the agent it belongs to."""

    kind: SpanKind
    name: str
    agent: str
    span_id: str
    start_ns: int
    end_ns: int = 0
    turn: int = 0
    children: list["Call"] = field(default_factory=list)
    failure: Failure | None = None
    arguments: Arguments | None = None
    result: Json = None
    call_id: str = ""
    messages: tuple[Message, ...] = ()
    reply: Message | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    http_status: int = 0


class Conduct(Protocol):
    """How tool uses go in one run: as intended, or disturbed by a planted fault."""

    def use(self, agent: "Agent", use: Use) -> None:
        """Let `agent` carry out `use`."""
        ...


class Abandoned(Exception):
    """The agent gives the goal up; `reraised` when its framework lets the failure through."""

    def __init__(self, apology: str, reraised: Failure | None = None) -> None:
        super().__init__(apology)
        self.apology = apology
        self.reraised = reraised


class Run:
    """One trace in the making. `topic` decides what is asked, `rng` how it goes."""

    def __init__(
        self, *, rng: Random, topic: Random, start_ns: int, model: str, conduct: Conduct
    ) -> None:
        self.rng = rng
        self.topic = topic
        self.trace_id = f"{rng.getrandbits(128) | 1:032x}"
        self.now_ns = start_ns
        self.model = model
        self.conduct = conduct
        self.root: Call | None = None
        self.question = ""

    def lasting_ns(self, median_s: float, sigma: float) -> int:
        """A lognormal duration."""
        return max(NS_PER_MS, round(self.rng.lognormvariate(math.log(median_s), sigma) * NS_PER_S))

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * NS_PER_S)

    def open(self, kind: SpanKind, name: str, agent: str, parent: Call | None) -> Call:
        """A call that begins now."""
        span_id = f"{self.rng.getrandbits(64) | 1:016x}"
        call = Call(kind=kind, name=name, agent=agent, span_id=span_id, start_ns=self.now_ns)
        if parent is None:
            self.root = call
        else:
            parent.children.append(call)
        return call

    @contextmanager
    def agent(self, name: str, goal: str) -> Iterator["Agent"]:
        """The root agent, answering the user's `goal`."""
        self.question = goal
        with self.acting(name, goal, None) as agent:
            yield agent

    @contextmanager
    def acting(self, name: str, goal: str, parent: Call | None) -> Iterator["Agent"]:
        """An agent at work on `goal` below `parent`, until it answers or gives up."""
        call = self.open(SpanKind.AGENT, name, name, parent)
        agent = Agent(self, call, goal)
        try:
            yield agent
        except Abandoned as end:
            if end.reraised is not None:
                call.failure = end.reraised
                self._close(call)
                if parent is not None:
                    raise
                return
            agent.answer(end.apology)
        self._close(call)

    def _close(self, call: Call) -> None:
        self.pause(self.rng.uniform(0.001, 0.01))
        call.end_ns = self.now_ns


class Agent:
    """One agent of a run and its conversation with its model."""

    def __init__(self, run: Run, call: Call, goal: str) -> None:
        self.run = run
        self.call = call
        self.name = call.name
        self.past: list[Use] = []
        self._messages: list[Message] = [Message(role="user", text=goal)]
        call.messages = (self._messages[0],)
        self._turn = 0

    def use(self, tool: Tool, arguments: Arguments, result: Json) -> None:
        """Ask for one tool call and carry it out, as the run's conduct has it."""
        use = Use(tool, arguments, result)
        self.run.conduct.use(self, use)
        self.past.append(use)

    def perform(
        self, use: Use, *, failure: Failure | None = None, slower: float = 1.0, ask: bool = True
    ) -> Call:
        """Carry out one tool call exactly so; with `ask`, after a model turn that asks for it."""
        call_id = self._ask([use])[0] if ask else self._new_id("call")
        call = self._execute(use, call_id, failure, slower)
        self.run.now_ns = call.end_ns
        self._hear(call)
        return call

    def perform_together(self, uses: Sequence[Use]) -> None:
        """Carry out several tool calls one model turn asked for, at the same time."""
        calls = [
            self._execute(use, call_id, None, 1.0)
            for use, call_id in zip(uses, self._ask(uses), strict=True)
        ]
        self.run.now_ns = max(call.end_ns for call in calls)
        for call in calls:
            self._hear(call)

    @contextmanager
    def delegate(self, name: str, goal: str) -> Iterator["Agent"]:
        """Hand a sub-goal to another agent, and hear its answer."""
        asked = Asked(call_id=self._new_id("call"), name=name, arguments={"goal": goal})
        self._think(Message(role="assistant", asked=(asked,)))
        with self.run.acting(name, goal, self.call) as agent:
            agent.call.turn, agent.call.call_id = self._turn, asked.call_id
            agent.call.arguments = {"goal": goal}
            yield agent
        reply = agent.call.reply.text if agent.call.reply else ""
        self._messages.append(Message(role="tool", text=reply, call_id=asked.call_id))

    def answer(self, text: str) -> None:
        """The agent's last word."""
        self._think(Message(role="assistant", text=text))
        self.call.reply = self._messages[-1]

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self.run.rng.getrandbits(80):020x}"

    def _ask(self, uses: Sequence[Use]) -> list[str]:
        asked = tuple(
            Asked(call_id=self._new_id("call"), name=use.tool.name, arguments=use.arguments)
            for use in uses
        )
        self._think(Message(role="assistant", asked=asked))
        return [one.call_id for one in asked]

    def _think(self, reply: Message) -> None:
        self._turn += 1
        call = self.run.open(SpanKind.LLM, "chat", self.name, self.call)
        call.turn, call.reply = self._turn, reply
        call.messages = (self._messages[0], *self._messages[1:][1 - MESSAGES_MAX :])
        chars = sum(message.chars for message in self._messages)
        call.input_tokens = SYSTEM_TOKENS + chars // CHARS_PER_TOKEN
        call.output_tokens = 12 + reply.chars // CHARS_PER_TOKEN
        # A fixed time to the first token, then 60 tokens a second.
        call.end_ns = call.start_ns + self.run.lasting_ns(0.5 + call.output_tokens / 60, 0.5)
        self.run.now_ns = call.end_ns + self.run.rng.randrange(1, 15) * NS_PER_MS
        self._messages.append(reply)

    def _execute(self, use: Use, call_id: str, failure: Failure | None, slower: float) -> Call:
        tool = use.tool
        call = self.run.open(tool.kind, tool.name, self.name, self.call)
        call.turn, call.call_id = self._turn, call_id
        call.arguments, call.failure = use.arguments, failure
        call.result = None if failure else use.result
        call.end_ns = call.start_ns + round(self.run.lasting_ns(tool.median_s, tool.sigma) * slower)
        if tool.host is not None:
            self._request(call, tool.host)
        return call

    def _request(self, tool: Call, host: str) -> None:
        call = self.run.open(SpanKind.OTHER, host, self.name, tool)
        margin_ns = (tool.end_ns - tool.start_ns) // 20
        call.start_ns, call.end_ns = tool.start_ns + margin_ns, tool.end_ns - margin_ns
        call.http_status = 200
        if tool.failure is not None:
            call.http_status = tool.failure.http_status or 0
            call.failure = tool.failure

    def _hear(self, call: Call) -> None:
        text = call.failure.message if call.failure else json.dumps(call.result)
        self._messages.append(Message(role="tool", text=text, call_id=call.call_id))
