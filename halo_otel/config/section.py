"""What every section of the configuration is made of: the base class, durations and sizes."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT_BYTES = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _seconds(value: object) -> object:
    """`"1h30m"` as seconds; numbers pass through as seconds."""
    if not isinstance(value, str):
        return value
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value)
    if not parts or "".join(n + u for n, u in parts) != value.strip():
        raise ValueError(f"{value!r} is not a duration: write it like 30s, 5m, 1h30m or 7d")
    return sum(float(n) * _UNIT_S[u] for n, u in parts)


def _bytes(value: object) -> object:
    """`"64MiB"` as a number of bytes; numbers pass through."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+)\s*(KiB|MiB|GiB|)", value.strip())
    if not match:
        raise ValueError(f"{value!r} is not a size: write it like 512MiB, 2GiB or 1048576")
    return int(match[1]) * _UNIT_BYTES[match[2]]


Duration = Annotated[float, BeforeValidator(_seconds)]  # seconds; written 30s, 5m, 1h
Size = Annotated[int, BeforeValidator(_bytes)]  # bytes; written 64MiB, 2GiB


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change after the start."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )
