"""What a dialect is, and what a row of the precedence table is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from halo_otel.model.facts import SpanKind
from halo_otel.model.span import Attributes, Span


@dataclass(slots=True)
class Reading:
    """A span while it is read: the facts known so far and where each was read.

    Facts are read in the order of the table, so a reader may rely on `kind` and on every fact above
    its own.
    """

    span: Span
    kind: SpanKind
    facts: dict[str, Any]
    sources: dict[str, str]

    def event(self, name: str) -> Attributes | None:
        """The attributes of the last span event called `name`."""
        for event in reversed(self.span.events):
            if event.name == name:
                return event.attributes
        return None


# An attribute's value to a fact, or None if it does not hold one.
Parse = Callable[[Any], Any]
# A fact from anything but one attribute's value.
Read = Callable[[Reading], Any]

EVENT = "event:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One row: where a fact may stand, how to read it, on which kinds of span (empty: on all).

    `key` is the attribute's key, or what to cite instead: `event:<name>`, `name`, `status`, or a fact
    further up in the table, whose own source is then cited. A row that `needs` an attribute holds
    only where that stands. With `inside`, that attribute of the span events called so is parsed,
    the last that holds the fact; with `guard`, nothing is parsed where it yields nothing.
    """

    dialect: str
    key: str
    parse: Parse | None = None
    read: Read | None = None
    needs: str | None = None
    inside: str | None = None
    guard: Read | None = None
    kinds: frozenset[SpanKind] = frozenset()

    def reader(self) -> Read | None:
        """How to read the row where parsing the attribute `key` alone does not do."""
        parse, inside, guard, needs = self.parse, self.inside, self.guard, self.needs
        if parse is not None and inside is not None:
            return _in_events(self.key.removeprefix(EVENT), inside, parse)
        if parse is not None and guard is not None and needs is not None:
            return lambda reading: parse(reading.span.attributes[needs]) if guard(reading) else None
        return self.read


def _in_events(name: str, inside: str, parse: Parse) -> Read:
    def read(reading: Reading) -> Any:
        for event in reversed(reading.span.events):
            if event.name == name and inside in event.attributes:
                known = parse(event.attributes[inside])
                if known is not None:
                    return known
        return None

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A way of writing agent telemetry, and how to recognise it cheaply on a span.

    A span speaks a dialect if it has one of its marker attributes or marker events, or if its scope's
    name begins with one of its scopes. A span may speak several.
    """

    name: str
    markers: frozenset[str] = frozenset()
    event_markers: frozenset[str] = frozenset()
    scopes: tuple[str, ...] = ()

    def at(self, key: str, parse: Parse, *kinds: SpanKind, guard: Read | None = None) -> Source:
        """A row that reads the attribute `key`; with a `guard`, only where that yields something."""
        return Source(
            dialect=self.name,
            key=key,
            parse=parse,
            needs=key,
            guard=guard,
            kinds=frozenset(kinds),
        )

    def on(self, key: str, read: Read, *kinds: SpanKind) -> Source:
        """A row that reads more than the attribute `key`, where that stands."""
        return Source(dialect=self.name, key=key, read=read, needs=key, kinds=frozenset(kinds))

    def by(self, cited: str, read: Read, *kinds: SpanKind) -> Source:
        """A row that reads something else than one attribute, cited as `cited`."""
        return Source(dialect=self.name, key=cited, read=read, kinds=frozenset(kinds))

    def event(self, name: str, key: str, parse: Parse, *kinds: SpanKind) -> Source:
        """A row that reads the attribute `key` of the last span event called `name` that tells it."""
        return Source(
            dialect=self.name,
            key=f"{EVENT}{name}",
            parse=parse,
            inside=key,
            kinds=frozenset(kinds),
        )
