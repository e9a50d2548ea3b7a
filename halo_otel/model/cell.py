"""What a window saw of one thing that is watched over time, and where it is heading."""

from dataclasses import dataclass
from enum import StrEnum


class Trend(StrEnum):
    """How a rate stands against its own past."""

    UP = "up"
    STEADY = "steady"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCount:
    """In how many of the traces of one window that could show it a cell was seen.

    `cell` names an agent's runs, a tool's calls or a finding (`analysis.change.watch`). What is `odd` was
    far off the past and is no part of what later windows are compared with.
    """

    window_start_ns: int
    cell: str
    exposed: int
    affected: int
    odd: bool
