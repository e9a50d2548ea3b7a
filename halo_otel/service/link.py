"""What front and engine tell each other: one JSON object per line, over the engine's stdin and stdout.

    front → engine   {"config": …} once, then {"durable": offset}, {"counters": …}, {"stop": true}
                     with {"arrival_ns": …} in the first and beside the counters
    engine → front   {"ready": true}, {"checkpoint": offset}, {"counters": …}, {"failure": why} last

An engine that is started in the place of one that died by itself is told so: `successor`. A failure
that another engine would meet as well is `permanent`.

End of file without a `stop` means that the other process died.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from halo_otel.errors import HaloError
from halo_otel.selfobs import Reading

LINE_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line; absent parts are `None`."""

    config: dict[str, object] | None = None
    control_target: str | None = None
    durable: int | None = None
    arrival_ns: int | None = None
    checkpoint: int | None = None
    counters: tuple[Reading, ...] | None = field(default=None)
    ready: bool = False
    stop: bool = False
    failure: str | None = None
    successor: bool = False
    permanent: bool = False

    def line(self) -> bytes:
        """The message as it goes over the pipe, with its newline."""
        parts: dict[str, object] = {
            "config": self.config,
            "control_target": self.control_target,
            "durable": self.durable,
            "arrival_ns": self.arrival_ns,
            "checkpoint": self.checkpoint,
            "counters": None if self.counters is None else _rows(self.counters),
            "ready": self.ready or None,
            "stop": self.stop or None,
            "failure": self.failure,
            "successor": self.successor or None,
            "permanent": self.permanent or None,
        }
        present = {key: value for key, value in parts.items() if value is not None}
        return json.dumps(present).encode() + b"\n"

    @staticmethod
    def parse(line: bytes) -> "Message":
        """The message of a line that `line` made."""
        parts = json.loads(line)
        rows = parts.pop("counters", None)
        counters = None if rows is None else tuple(_readings(rows))
        return Message(counters=counters, **parts)


def _rows(readings: Iterable[Reading]) -> list[list[object]]:
    return [[r.name, [list(pair) for pair in r.attributes], r.value, r.since_ns] for r in readings]


def _readings(rows: Iterable[tuple[str, list[list[str]], float, int]]) -> Iterable[Reading]:
    for name, attributes, value, since_ns in rows:
        yield Reading(name, tuple((key, text) for key, text in attributes), value, since_ns)


def reason(error: BaseException) -> BaseException:
    """The one error to tell of a task group in which one task's death took the others down."""
    while isinstance(error, BaseExceptionGroup):
        known, _ = error.split(HaloError)
        error = (known or error).exceptions[0]
    return error
