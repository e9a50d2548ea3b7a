"""What comes out of a run: HALO's items and deltas, made from what the model tier tells.

Shapes: halo-engine 0.3.5, `engine/models/engine_output.py` and `engine/models/messages.py`.

| comes | as |
|---|---|
| text as it is written | `AgentTextDelta`; `item_id` is of the turn that it belongs to |
| the model's turn | `AgentOutputItem`, a message of `assistant` with its `tool_calls` |
| what a tool said | `AgentOutputItem`, a message of `tool` with its `tool_call_id` and `name` |
| the end | `AgentAnswer`, the only item with `final=True`: the answer and the report in Markdown, and both as values |

The conversation about the question is the root agent (depth 0); those about clusters and about the window as a
whole are subagents (depth 1), whose `agent_id` is what they are about. Deltas of a turn that is asked again stay
without an item.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from halo_otel.errors import BadRequest
from halo_otel.llm.conversation import Answer, Call
from halo_otel.model.report import Report
from halo_otel.recursion.claims.checking import Accepted
from halo_otel.recursion.claims.claim import Dropped
from halo_otel.recursion.deepen import Deepened
from halo_otel.recursion.progress import Began, Event, Looked, Said, Wrote
from halo_otel.recursion.talk.conversing import QUESTION
from halo_otel.reports import markdown
from halo_otel.service.answer import question_markdown

_ROOT = "root"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AgentToolFunction(_Shape):
    """Which tool, and its arguments as JSON."""

    name: str
    arguments: str


class AgentToolCall(_Shape):
    """One call, as in OpenAI's `tool_calls`."""

    id: str
    type: Literal["function"] = "function"
    function: AgentToolFunction


class AgentMessage(_Shape):
    """One message, as OpenAI's chat completions have it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[AgentToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class AgentOutputItem(_Shape):
    """A message of an agent, and whose it is."""

    sequence: int
    agent_id: str
    parent_agent_id: str | None
    parent_tool_call_id: str | None
    agent_name: str
    depth: int
    item: AgentMessage
    final: bool = False


class AgentTextDelta(_Shape):
    """A piece of text, as it is written."""

    sequence: int
    agent_id: str
    parent_agent_id: str | None
    parent_tool_call_id: str | None
    depth: int
    item_id: str
    text_delta: str


class AgentAnswer(AgentOutputItem):
    """The last item. Beside HALO's members, and left out where it is dumped: the whole report, the checked claims
    that are the answer, and all claims that did not hold, with the reasons."""

    report: InstanceOf[Report] = Field(exclude=True, repr=False)
    answer: tuple[InstanceOf[Accepted], ...] = Field(exclude=True, repr=False)
    dropped: tuple[InstanceOf[Dropped], ...] = Field(exclude=True, repr=False)


EngineStreamEvent: TypeAlias = AgentOutputItem | AgentTextDelta


def question_of(messages: Sequence[AgentMessage], context: str | None) -> str:
    """The last user's message, after what was said before and `context`. Raises BadRequest."""
    if not messages or messages[-1].role != "user":
        raise BadRequest("messages: the last one must be the user's question")
    *before, last = [_text(message) for message in messages]
    said = "\n".join(
        f"{message.role}: {text}" for message, text in zip(messages, before, strict=False) if text
    )
    parts = [
        f"About the traces: {context}" if context else "",
        f"What was said before:\n{said}" if said else "",
        last,
    ]
    return "\n\n".join(part for part in parts if part)


def _text(message: AgentMessage) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    if any(part.get("type") != "text" for part in message.content):
        raise BadRequest(
            "messages: only texts can be asked about: leave out images, audio and files"
        )
    return "\n".join(str(part.get("text", "")) for part in message.content)


@dataclass(slots=True)
class _Agent:
    id: str
    name: str
    depth: int
    turn: int = 0

    @property
    def lineage(self) -> dict[str, Any]:
        return {
            "agent_id": self.id,
            "parent_agent_id": _ROOT if self.depth else None,
            "parent_tool_call_id": None,
            "depth": self.depth,
        }


class Items:
    """Makes the items of one run."""

    def __init__(self, root_name: str, sub_name: str) -> None:
        self._sub_name = sub_name
        self._root = _Agent(_ROOT, root_name, 0)
        self._agents = {QUESTION: self._root}
        self._sequence = count()

    def of(self, event: Event) -> Iterator[EngineStreamEvent]:
        """What is told of `event`."""
        match event:
            case Began():
                self._agents.setdefault(event.about, _Agent(event.about, self._sub_name, 1))
            case Wrote() if event.text:
                agent = self._agents[event.about]
                yield AgentTextDelta(
                    sequence=next(self._sequence),
                    item_id=f"{agent.id}-{agent.turn}",
                    text_delta=event.text,
                    **agent.lineage,
                )
            case Said():
                agent = self._agents[event.about]
                agent.turn += 1
                yield self._item(agent, _assistant(event.answer))
            case Looked():
                told = AgentMessage(
                    role="tool", content=event.reply, tool_call_id=event.call_id, name=event.tool
                )
                yield self._item(self._agents[event.about], told)

    def answer(self, question: str, came: Deepened) -> AgentAnswer:
        """The last item."""
        text = question_markdown(question, came.answer) + markdown.render(came.report)
        return AgentAnswer(
            sequence=next(self._sequence),
            agent_name=self._root.name,
            item=AgentMessage(role="assistant", content=text),
            final=True,
            report=came.report,
            answer=came.answer,
            dropped=came.dropped,
            **self._root.lineage,
        )

    def _item(self, agent: _Agent, message: AgentMessage) -> AgentOutputItem:
        return AgentOutputItem(
            sequence=next(self._sequence), agent_name=agent.name, item=message, **agent.lineage
        )


def _assistant(answer: Answer) -> AgentMessage:
    calls = [
        AgentToolCall(
            id=call.id,
            function=AgentToolFunction(name=call.tool, arguments=json.dumps(dict(call.arguments))),
        )
        for call in answer.calls
        if isinstance(call, Call)
    ]
    return AgentMessage(role="assistant", content=answer.text or None, tool_calls=calls or None)
