"""A scene: something that happens in a run, a fault or what looks like one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tests.eval.beta.run import Run

Act: TypeAlias = Callable[[Run], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """When it happens: `before` the play, in the `worker`, between the agents (`team`), `late` (after the
    change), `after` the play.
    """

    before: Act | None = None
    worker: Act | None = None
    team: Act | None = None
    late: Act | None = None
    after: Act | None = None
    everywhere: Act | None = None  # before every run of the window, with the scene or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A fault and its look-alike."""

    fault: Scene
    lure: Scene
    share: tuple[float, float] = (0.08, 0.45)  # of the runs that have the fault


def in_worker(fault: Act, lure: Act) -> Pair:
    return Pair(fault=Scene(worker=fault), lure=Scene(worker=lure))


def in_team(fault: Act, lure: Act) -> Pair:
    return Pair(fault=Scene(team=fault), lure=Scene(team=lure))


def chance(run: Run, share: float) -> bool:
    """Whether something happens in this run that happens in `share` of runs."""
    return run.dice.random() < share
