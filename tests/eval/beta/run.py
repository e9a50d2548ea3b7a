"""One run while it is played: its clock, the tree of its steps, what every agent has heard so far.

Time is simulated; nothing waits. Whatever a model is given is what was said in its agent before, so
prompts grow and identifiers have a source as they have in life.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.eval.beta.cast import Agent, Cast

SECOND_NS: Final = 1_000_000_000
_CHARS_A_TOKEN: Final = 4
_TOKENS_A_TOOL: Final = 70
_MODEL_MEDIAN_S: Final = 1.4
_SECONDS_A_TOKEN: Final = 0.012
_MISHAP_SHARE: Final = 0.012

_MISHAPS: Final = (
    ("BrokenPipeError", "the connection went away"),
    ("DeadlineExceeded", "no answer in 5 s"),
    ("TooManyRequests", "quota used up, retry after 2 s"),
    ("DNSLookupError", "temporary failure in name resolution"),
    ("ReadTimeout", "no bytes for 10 s"),
    ("Conflict", "somebody else is editing"),
    ("BadGateway", "502 from the proxy"),
    ("TLSHandshakeError", "certificate not yet valid"),
    ("LeaderElection", "no leader at the moment"),
    ("DiskPressure", "node is being drained"),
    ("StaleToken", "token was rotated, fetch a new one"),
    ("ChecksumMismatch", "body was damaged on the way"),
    ("Throttled", "burst limit"),
    ("PoolExhausted", "all 20 connections are in use"),
    ("MaintenanceWindow", "back in a minute"),
    ("QueueFull", "try again"),
    ("ReplicaLag", "replica is behind"),
    ("SessionExpired", "log in again"),
)
_PLACES: Final = ("north", "south", "harbour", "old town", "airport", "hill", "mill", "station")
_SORRY: Final = (
    "I was unable to complete this request.",
    "I could not finish what you asked for, sorry about that.",
    "Unfortunately this did not work out and nothing was completed.",
)


@dataclass(slots=True)
class Message:
    """What was said in an agent: by whom, in text, as calls of tools, or as the answer to one."""

    role: str
    text: str = ""
    calls: tuple["Call", ...] = ()
    answers: "Call | None" = None

    @property
    def chars(self) -> int:
        return len(self.text) + sum(len(call.tool) + len(call.text) for call in self.calls)


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    tool: str
    arguments: dict[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.arguments)


@dataclass(slots=True)
class Step:
    """A future span. `kind` is run, agent, model, tool, parse, or inner (an HTTP or database client)."""

    id: str
    parent: str
    kind: str
    name: str
    agent: str
    start_ns: int
    end_ns: int = 0
    given: tuple[Message, ...] = ()
    says: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    call: Call | None = None
    turn: "Step | None" = None  # the model's step that asked for this call
    result: str = ""
    error: tuple[str, str] | None = None
    in_words: bool = False  # the error stands in the result only, the span's status is unset
    bare: bool = False  # what was given and answered is not recorded
    handoff: str = ""  # the agent that the call hands over to


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is known of a run before it begins."""

    trace_id: str
    version: str
    model: str
    region: str
    session: str
    user: str
    loud: bool  # errors of tools are statuses, else words
    wording: str = "Error: %s"  # how the framework tells the model of an error
    turns: tuple[Message, ...] = ()  # earlier turns of the session, as the model is given them
    known: tuple[str, ...] = ()  # things that the session spoke of before


@dataclass(slots=True)
class _Frame:
    step: Step
    agent: Agent
    heard: list[Message] = field(default_factory=list)


class Run:
    """A run that scenes and an application's `play` write together.

    `dice` differ from run to run, `fixed` are thrown alike in all runs of a window: they decide what a
    fault looks like in it.
    """

    def __init__(self, cast: Cast, setting: Setting, dice: random.Random, fixed: random.Random):
        self.cast, self.setting, self.dice, self.fixed = cast, setting, dice, fixed
        self.now = 0
        self.steps: list[Step] = []
        self.causes: list[str] = []
        self.culprit: tuple[str, str | None] | None = None
        self.failed = False
        self.over = False  # the play goes straight to its end
        self.crash: tuple[str, str] | None = None
        self.final: str | None = None
        self.note = ""  # what a healthy run's last words admit
        self.ending_to_blame = False
        self.skips_check = False
        self.mishaps = True
        self.slowness: dict[str, float] = {}
        self.spread: dict[str, float] = {}
        self.acts: dict[str, list[Any]] = {"worker": [], "team": [], "late": []}
        self.thing = self.new_thing()
        self.word = dice.choice(cast.words)
        self.task = dice.choice(cast.asks).format(thing=self.thing, word=self.word)
        self._records: dict[str, dict[str, Any]] = {}
        self._places = dice.sample(_PLACES, len(_PLACES))
        self._frames: list[_Frame] = []
        self._parents: list[Step] = []

    # What the run is about.

    def new_thing(self) -> str:
        return self.cast.thing.format(self.dice.randrange(10_000, 99_999))

    def record(self, thing: str, **known: Any) -> dict[str, Any]:
        """What a look-up of `thing` tells; the same each time, but for what is `known` otherwise."""
        if thing not in self._records:
            told = {key: self.dice.choice(values) for key, values in self.cast.record.items()}
            self._records[thing] = {
                self.cast.key: thing,
                **told,
                "size": self.dice.randrange(10**5),
            }
        return {**self._records[thing], **known}

    def mishap(self) -> tuple[str, str]:
        """An error of the kind that comes once and not again."""
        return self.dice.choice(_MISHAPS)

    def errand(self) -> tuple[str, dict[str, Any], Any]:
        """A call of one tool or another, about something new that the user has just asked for."""
        cast, thing = self.cast, self.new_thing()
        self.hear(f"Please have a look at {thing}, too.")
        return self.dice.choice(
            [
                (cast.lookup, {cast.key: thing}, self.record(thing)),
                (cast.lookup, {cast.key: thing}, self.record(thing)),
                (cast.search, {"query": f"{self.word} and {thing}"}, self.hits(2)),
                (cast.search, {"query": f"what belongs to {thing}"}, self.hits(2)),
                (cast.check, {cast.key: thing}, {"verdict": "clear", "of": thing}),
            ]
        )

    def aside(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """A call of the rarely used tool, about something new."""
        place = self._places.pop()
        return self.cast.rare, {"house": place}, {"for": place, "n": self.dice.randrange(99)}

    def hits(self, count: int) -> list[dict[str, Any]]:
        """What a search finds: things with a record each."""
        return [self.record(self.new_thing()) for _ in range(count)]

    def change_of(self, thing: str, **given: Any) -> dict[str, Any]:
        """Arguments of the tool that changes a thing."""
        cast = self.cast
        choice, amount = self.dice.choice(cast.choices()), self.dice.randrange(1, 9)
        return {cast.key: thing, cast.choice: choice, cast.amount: amount, **given}

    # The stage.

    @contextmanager
    def staged(self, kind: str, name: str) -> Iterator[Step]:
        """A step around others, as long as they take."""
        agent = self._frames[-1].agent.name if self._frames else self.cast.lead
        step = self._step(kind, name, agent)
        self._parents.append(step)
        yield step
        self._parents.pop()
        self._close(step)

    @contextmanager
    def acting(self, name: str, task: str) -> Iterator[Step]:
        """An agent at work on `task`; one that is already at work just hears of it."""
        if self._frames and self._frames[-1].agent.name == name:
            self.hear(task)
            yield self._frames[-1].step
            return
        step = self._step("agent", name, name)
        frame = _Frame(step, self.cast.agent(name))
        if not self._parents or name == self.cast.worker:
            frame.heard.extend(self.setting.turns)
        frame.heard.append(Message("user", task))
        step.given = tuple(frame.heard)
        self._frames.append(frame)
        self._parents.append(step)
        yield step
        self._parents.pop()
        self._frames.pop()
        self._close(step)

    def cue(self, place: str) -> None:
        """The scenes of this place play now: in the worker, between the agents, after the change."""
        for act in self.acts[place]:
            if not self.over:
                act(self)

    # What agents do.

    def hear(self, text: str, answers: Call | None = None) -> None:
        """The agent is told something more, by the user or the framework, or as a call's answer."""
        role = "tool" if answers else "user"
        self._frames[-1].heard.append(Message(role, text, answers=answers))

    def forget(self, summary: str) -> None:
        """The agent's conversation is compacted to its task and `summary`."""
        heard = self._frames[-1].heard
        heard[1:] = [Message("user", summary)]

    def think(
        self,
        says: str = "",
        calls: Sequence[tuple[str, dict[str, Any]]] = (),
        *,
        finish: str = "",
        error: tuple[str, str] | None = None,
        reasoning: int = 0,
    ) -> Step:
        """One call of the model with all that the agent has heard."""
        frame = self._frames[-1]
        step = self._step("model", self.setting.model, frame.agent.name)
        asked = tuple(
            Call(f"call_{self.dice.getrandbits(60):015x}", tool, given) for tool, given in calls
        )
        step.given, step.says, step.calls, step.error = tuple(frame.heard), says, asked, error
        step.finish = finish or ("tool_calls" if asked else "stop")
        answer = Message("assistant", says, asked)
        chars = len(frame.agent.told) + sum(message.chars for message in frame.heard)
        step.input_tokens = chars // _CHARS_A_TOKEN + _TOKENS_A_TOOL * len(frame.agent.tools) + 20
        step.reasoning_tokens = reasoning
        step.output_tokens = 0 if error else max(4, answer.chars // _CHARS_A_TOKEN) + reasoning
        self.now += self._seconds(_MODEL_MEDIAN_S, 0.35)
        self.now += int(step.output_tokens * _SECONDS_A_TOKEN * SECOND_NS)
        step.end_ns = self.now
        if error is None:
            frame.heard.append(answer)
        return step

    def answer(self, call: Call, turn: Step, result: Any, **how: Any) -> Step:
        """The tool's own step for a call that a model's turn asked for.

        `how`: error, took_s, in_words, inner (steps inside: name and error), heard (what the model is
        told instead of the result).
        """
        step = self._step("tool", call.tool, turn.agent)
        step.call, step.turn, step.error = call, turn, how.get("error")
        tool = self.cast.tool(call.tool)
        median = tool.median_s if tool else 0.02
        for name, error in how.get("inner", ()):
            self._inner(step, name, error, median / 10)
        took = how.get("took_s")
        spread = self.spread.get(call.tool, 0.35)
        self.now += (
            int(took * SECOND_NS)
            if took is not None
            else int(self._seconds(median, spread) * self.slowness.get(call.tool, 1.0))
        )
        step.end_ns = self.now
        if step.error:
            step.in_words = how.get("in_words", not self.setting.loud)
            kind, message = step.error
            step.result = self.setting.wording % f"{kind}: {message}"
        else:
            step.result = result if isinstance(result, str) else json.dumps(result)
        heard = how.get("heard")
        told = heard if heard is not None else step.result
        self._frames[-1].heard.append(Message("tool", told, answers=call))
        self.now += self.dice.randrange(2, 40) * SECOND_NS // 1000
        return step

    def use(
        self, tool: str, arguments: dict[str, Any], result: Any, says: str = "", **how: Any
    ) -> Step:
        """The model asks for one call, and the tool answers."""
        turn = self.think(says, [(tool, arguments)])
        return self.answer(turn.calls[0], turn, result, **how)

    def do(self, tool: str, arguments: dict[str, Any], result: Any, says: str = "") -> Step:
        """As `use`; now and then the first try fails somehow, and the second works."""
        if self.mishaps and self.dice.random() < _MISHAP_SHARE:
            self.use(tool, arguments, "", error=self.mishap())
            self.now += self.dice.randrange(1, 3) * SECOND_NS
        return self.use(tool, arguments, result, says)

    def at_once(self, calls: Sequence[tuple[str, dict[str, Any], Any]]) -> list[Step]:
        """Several calls of one turn, run side by side."""
        turn = self.think("", [(tool, given) for tool, given, _ in calls])
        begin, end, steps = self.now, self.now, []
        for call, (_, _, result) in zip(turn.calls, calls, strict=True):
            self.now = begin
            steps.append(self.answer(call, turn, result))
            end = max(end, self.now)
        self.now = end
        return steps

    def verify(self, thing: str) -> None:
        """The check that good runs make before they change anything."""
        if not self.skips_check:
            self.do(self.cast.check, {self.cast.key: thing}, {"verdict": "clear", "of": thing})

    def pause(self, seconds: float) -> None:
        self.now += int(seconds * SECOND_NS)

    # How it ends.

    def fail(self, final: str | None = None, crash: tuple[str, str] | None = None) -> None:
        """The run will not do its task: it says so, or breaks."""
        self.failed = self.over = True
        self.crash = crash
        self.final = final if final is not None else self.dice.choice(_SORRY)

    def report(self, healthy: str) -> str:
        """The agent's last words, which are others where the run has failed; none after a crash."""
        said = f"{healthy} {self.note}".strip() if self.final is None else self.final
        if self.crash is None:
            self.think(said)
            self._frames[-1].step.says = said
        return said

    def conclude(self, found: str) -> None:
        """What agents came to beside the play: whoever gave them the work hears and uses it."""
        self.say_later(found)
        if self._frames:
            self.hear(found)

    def say_later(self, note: str) -> None:
        """The agents' last words tell this as well."""
        self.note = f"{self.note} {note}".strip()

    def ending(self) -> list[str]:
        """The steps that end a run that failed: its last words, or what broke."""
        if self.crash is not None:
            return [self.steps[0].id]
        return [step.id for step in self.steps if step.kind == "model" and step.says == self.final]

    def blame(self, agent: str, tool: str | None, *steps: Step) -> None:
        """These steps are the cause of the planted fault."""
        self.culprit = (agent, tool)
        self.causes.extend(step.id for step in steps)

    # Inside.

    def _step(self, kind: str, name: str, agent: str) -> Step:
        parent = self._parents[-1].id if self._parents else ""
        step = Step(f"{self.dice.getrandbits(64) | 1:016x}", parent, kind, name, agent, self.now)
        self.steps.append(step)
        return step

    def _close(self, step: Step) -> None:
        self.now += self.dice.randrange(1, 20) * SECOND_NS // 1000
        step.end_ns = max(step.end_ns, self.now)
        step.error = step.error or self.crash

    def _inner(
        self, outer: Step, name: str, error: tuple[str, str] | None, median_s: float
    ) -> None:
        inner = self._step("inner", name, outer.agent)
        inner.parent, inner.error = outer.id, error
        self.now += self._seconds(median_s, 0.4)
        inner.end_ns = self.now

    def _seconds(self, median: float, sigma: float) -> int:
        return int(self.dice.lognormvariate(math.log(median), sigma) * SECOND_NS)
