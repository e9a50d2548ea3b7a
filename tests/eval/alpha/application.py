"""What an application is: agents, tools with schemas, things with ids, and its own way of talking."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

Role = Literal["open", "inspect", "find", "check", "write", "send", "start", "poll", "rare"]
Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A tool's argument under the application's own name."""

    name: str
    schema: Mapping[str, object]
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool; `arguments` by what they mean, so that scenes can be told for every application."""

    name: str
    description: str
    arguments: Mapping[str, Argument]
    seconds: float

    def fill(self, **meant: object) -> dict[str, object]:
        """Arguments of a call."""
        return {self.arguments[slot].name: value for slot, value in meant.items()}

    @property
    def schema(self) -> dict[str, object]:
        return {
            "type": "object",
            "properties": {one.name: dict(one.schema) for one in self.arguments.values()},
            "required": [one.name for one in self.arguments.values() if one.required],
        }


@dataclass(frozen=True, kw_only=True)
class Application:
    """An application and its vocabulary."""

    name: str
    service: str
    lead: str
    workers: tuple[str, str, str]
    workflow: str
    models: tuple[str, ...]
    provider: str
    duty: str
    tools: Mapping[Role, Tool]
    missing_tools: tuple[str, ...]  # names a model makes up
    record_id: str  # formats with {0}: a number
    part_id: str
    job_id: str
    names: Mapping[str, str]  # what results call a fact
    style: Literal["json", "lines", "markdown", "envelope"]
    states: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]  # field: its values
    rules: tuple[str, ...]
    words: tuple[str, ...]
    requests: tuple[str, ...]  # {record}
    changes: tuple[str, ...]  # {record}, {field}, {value}
    done: tuple[str, ...]  # {record}, {field}, {value}
    told: tuple[str, ...]  # {record}, {detail}
    sorry: tuple[str, ...]  # {record}, {why}
    problems: tuple[tuple[str, str], ...]  # type, message with {n}
    versions: tuple[str, ...] = ("1.8.2", "1.9.0")
    regions: tuple[str, ...] = ("eu-west-1", "us-east-2")
    extra: tuple[Tool, ...] = field(default=())

    @cached_property
    def by_name(self) -> dict[str, Tool]:
        return {tool.name: tool for tool in (*self.tools.values(), *self.extra)}

    def system(self, agent: str) -> str:
        return f"You are {agent}. {self.duty} Use the tools; do not guess."

    def prose(self, rng: random.Random, words: int) -> str:
        """Some words of the trade."""
        return " ".join(rng.choices(self.words, k=words))

    def write(self, facts: Facts) -> str:
        """Facts as this application's tools give them back."""
        named = {self.names.get(name, name): value for name, value in facts.items()}
        return _STYLES[self.style](named)


def _lines(facts: Facts) -> str:
    return "\n".join(f"{name}: {_plain(value)}" for name, value in facts.items())


def _markdown(facts: Facts) -> str:
    return "\n".join(f"- **{name}**: {_plain(value)}" for name, value in facts.items())


def _envelope(facts: Facts) -> str:
    return json.dumps({"ok": True, "payload": facts})


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


_STYLES: Final[Mapping[str, Callable[[Facts], str]]] = {
    "json": json.dumps,
    "lines": _lines,
    "markdown": _markdown,
    "envelope": _envelope,
}


def text(name: str, *choices: str, optional: bool = False) -> Argument:
    """A string, of some choices if given."""
    schema: dict[str, object] = {"type": "string"}
    if choices:
        schema["enum"] = list(choices)
    return Argument(name=name, schema=schema, required=not optional)


def number(name: str, *, optional: bool = False) -> Argument:
    """An integer."""
    return Argument(name=name, schema={"type": "integer"}, required=not optional)
