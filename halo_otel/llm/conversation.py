"""What is asked of a model and what it answers, whatever the endpoint behind it can do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from halo_otel.llm.budget import Amount

Role: TypeAlias = Literal["model", "synthesis", "compaction"]
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A text that strangers wrote into a trace; `field` says what it is, e.g. `tool.arguments`.

    `llm.payloads` decides in which form it leaves. Every text from a trace must be wrapped in one.
    """

    field: str
    text: str


Text: TypeAlias = str | Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a tool that exists, with arguments that are a JSON object; nobody checked its members."""

    id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadCall:
    """A call that cannot be carried out; `problem` tells the model what to mend."""

    id: str
    tool: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn. A `tool` message answers the call with the id `answers`."""

    author: Literal["system", "user", "assistant", "tool"]
    content: tuple[Text, ...] = ()
    calls: tuple[Call | BadCall, ...] = ()
    answers: str = ""

    @classmethod
    def system(cls, *content: Text) -> "Message":
        return cls(author="system", content=content)

    @classmethod
    def user(cls, *content: Text) -> "Message":
        return cls(author="user", content=content)

    @classmethod
    def assistant(cls, *content: Text) -> "Message":
        return cls(author="assistant", content=content)

    @classmethod
    def result(cls, call: Call | BadCall, *content: Text) -> "Message":
        """What `call` gave; the problem of a BadCall where nothing else is said."""
        if isinstance(call, BadCall) and not content:
            content = (call.problem,)
        return cls(author="tool", content=content, answers=call.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What the model may call; `parameters` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The JSON Schema that the answer must have; for strict endpoints every object in it says
    `additionalProperties: false` and requires all its properties."""

    name: str
    schema: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request: the whole conversation so far. `max_output_tokens` defaults to `llm.max_output_tokens`."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    schema: Schema | None = None
    role: Role = "model"
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model said. With a schema and no calls, `value` is the JSON object in `text`, checked only for
    being one; or `problem` tells the model why there is none."""

    text: str
    calls: tuple[Call | BadCall, ...]
    value: Json | None
    problem: str | None
    is_cut: bool  # at max_output_tokens
    refusal: str | None
    model: str  # as the endpoint names it
    spent: Amount = field(default_factory=Amount)

    @property
    def message(self) -> Message:
        """This answer as a turn of the conversation that goes on."""
        return Message(author="assistant", content=(self.text,), calls=self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would be sent: the exact body, the tokens it has at most and probably, and the most that it costs
    (USD; `None` where the price is unknown)."""

    model: str
    body: bytes
    fields: Mapping[str, int]  # bytes of payload by field
    masked: Mapping[str, int]  # values by kind
    input_tokens_max: int
    input_tokens_estimated: int
    output_tokens_max: int
    cost_max: float | None
