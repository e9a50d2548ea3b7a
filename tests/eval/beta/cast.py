"""Who plays in an application: agents, their tools, and the words for the things they handle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.eval.beta.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as the model is told of it; `takes` are the JSON Schemas of its arguments."""

    name: str
    says: str
    takes: Mapping[str, Mapping[str, Any]]
    needs: tuple[str, ...]
    median_s: float = 0.4

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": dict(self.takes), "required": list(self.needs)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent: what it is told to be, its tools, and the service that it runs in."""

    name: str
    told: str
    service: str
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """An application: `play` is what a healthy run of it does, the rest is what scenes need to name.

    Scenes act in `worker`, or between `worker` and `peer`; `key` is the argument that names a thing
    to every tool, `record` what a look-up of it tells.
    """

    application: str
    service: str
    play: "Callable[[Run], None]"
    agents: tuple[Agent, ...]
    tools: tuple[Tool, ...]
    lead: str
    worker: str
    peer: str
    thing: str
    key: str
    record: Mapping[str, tuple[Any, ...]]
    lookup: str
    search: str
    change: str
    choice: str  # the argument of `change` with an enum
    amount: str  # the argument of `change` that is an integer
    check: str
    start: str
    poll: str
    tell: str
    outside: str
    rare: str
    thorough: str  # a tool that always takes its time
    invented: str  # a tool that nobody offers
    words: tuple[str, ...]
    asks: tuple[str, ...]  # with {thing} and {word}
    done: str  # with {thing}
    versions: tuple[str, ...]
    models: tuple[str, ...]
    regions: tuple[str, ...] = ("eu-west-1", "us-east-2", "ap-south-1")
    misspelt: Mapping[str, str] = field(default_factory=dict)

    def tool(self, name: str) -> Tool | None:
        tools = (*self.tools, *self.team_tools())
        return next((tool for tool in tools if tool.name == name), None)

    def team_tools(self) -> tuple[Tool, ...]:
        """What the framework offers every agent: hand over, give away, ask a human."""
        return _team_tools(self.agents)

    def agent(self, name: str) -> Agent:
        return next(agent for agent in self.agents if agent.name == name)

    def choices(self) -> tuple[str, ...]:
        tool = self.tool(self.change)
        assert tool is not None
        return tuple(tool.takes[self.choice]["enum"])


@cache
def _team_tools(agents: tuple[Agent, ...]) -> tuple[Tool, ...]:
    text = {"type": "string"}
    over = tuple(
        Tool(
            name=f"transfer_to_{agent.name.lower().replace(' ', '_')}",
            says=f"Hand over to {agent.name}",
            takes={"agent_name": text, "reason": text},
            needs=("agent_name",),
            median_s=0.02,
        )
        for agent in agents
    )
    return (
        *over,
        Tool(
            name="delegate",
            says="Give a part of the task to somebody",
            takes={"agent_name": text, "task": text},
            needs=("agent_name", "task"),
            median_s=0.05,
        ),
        Tool(
            name="ask_human_approval",
            says="Ask the manager on duty",
            takes={"question": text},
            needs=("question",),
        ),
    )
