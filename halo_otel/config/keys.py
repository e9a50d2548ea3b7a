"""Every leaf of the configuration, found by walking the sections: one list for loading and for documents."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic.fields import FieldInfo

from halo_otel.config.section import Duration, Section, Size
from halo_otel.config.sections import Config

PREFIX: Final = "HALO_"
Kind = Literal["duration", "size", "path", "mapping", "plain"]

_DURATION: Final = get_args(Duration)[1]
_SIZE: Final = get_args(Size)[1]
_BOUNDS: Final = (
    (Ge, "≥", "ge"),
    (Gt, ">", "gt"),
    (Le, "≤", "le"),
    (Lt, "<", "lt"),
    (MultipleOf, "in steps of", "multiple_of"),
)
_UNITS_MS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_UNITS_BYTES: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting: where it stands and how the sections define it."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def name(self) -> str:
        """The dotted path, e.g. `window.length`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable, e.g. `HALO_WINDOW_LENGTH`."""
        return PREFIX + "_".join(self.path).upper()

    @property
    def help(self) -> str:
        return self.field.description or ""

    @property
    def kind(self) -> Kind:
        """How a value is written."""
        types = (self.field.annotation, *get_args(self.field.annotation))
        # Of `Size | None` the size stands in the union, not beside it.
        marks = [*self.field.metadata]
        marks += (mark for each in types for mark in getattr(each, "__metadata__", ()))
        if _DURATION in marks:
            return "duration"
        if _SIZE in marks:
            return "size"
        if Path in types:
            return "path"
        return "mapping" if get_origin(self.field.annotation) is dict else "plain"

    @property
    def members(self) -> tuple[str, ...]:
        """What an entry of a mapping may hold, where that is fixed."""
        if self.kind == "mapping":
            of = get_args(self.field.annotation)[1]
            entry = get_args(of)[0] if get_args(of) else of
            if isinstance(entry, type) and issubclass(entry, Section):
                return tuple(entry.model_fields)
        return ()

    @property
    def default(self) -> str | None:
        """The default as a person writes it; `None` when there is none."""
        return self.written(self.field.default)

    @property
    def limits(self) -> str:
        """What is allowed, e.g. `≥ 1s, ≤ 1d` or `gzip, none`; empty when the type says it all."""
        if get_origin(self.field.annotation) is Literal:
            return ", ".join(map(str, get_args(self.field.annotation)))
        return ", ".join(
            f"{sign} {self.written(getattr(limit, name))}"
            for limit in self.field.metadata
            for bound, sign, name in _BOUNDS
            if isinstance(limit, bound)
        )

    def written(self, value: object) -> str | None:
        """`value` of this key as a person writes it in YAML; `None` for no value."""
        if value is None:
            return None
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple):
            return ", ".join(value) or "none"
        if self.kind == "duration" and isinstance(value, int | float):
            return duration(value)
        if self.kind == "size" and isinstance(value, int):
            return size(value)
        return str(value)


def duration(seconds: float) -> str:
    """Seconds as `1h30m`, in whole milliseconds; the inverse of how `Duration` is read."""
    rest = round(seconds * 1000)
    text = ""
    for unit, ms in _UNITS_MS:
        count, rest = divmod(rest, ms)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def size(count: int) -> str:
    """Bytes as `64MiB`, in the largest unit that divides them; the inverse of how `Size` is read."""
    for unit, factor in _UNITS_BYTES:
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def _walk(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _walk(inner, (*path, name))
        else:
            yield Key(path=(*path, name), field=field)


KEYS: Final[tuple[Key, ...]] = tuple(_walk(Config))
