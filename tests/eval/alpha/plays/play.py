"""How a fault, or what looks like one, comes into a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.eval.alpha.application import Application, Role
from tests.eval.alpha.scene import Job, Scene, Twist
from tests.eval.alpha.shapes import SHAPES, Place, Plan, Shape

TEAM: Final[tuple[Shape, ...]] = ("team",)
CHAIN: Final[tuple[Shape, ...]] = ("chain",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What happens at a place of a run, in which shapes and jobs it can, and which tool it is about."""

    place: Place = "middle"
    twist: Twist | None = None
    prepare: Callable[[Plan], None] | None = None
    shapes: tuple[Shape, ...] = SHAPES
    job: Job | None = None
    tool: Callable[[Application, int], str] | None = None
    everywhere: bool = False  # a look-alike that all runs of the window have
    seldom: bool = False  # a look-alike with errors in it: often, it would be a fault
    keeps_words: bool = False  # needs what is asked and answered to be recorded

    def apply(self, plan: Plan) -> None:
        if self.job:
            plan.job = self.job
        if self.prepare:
            self.prepare(plan)
        if self.twist:
            plan.twists[self.place] = self.twist


def by_role(*roles: Role) -> Callable[[Application, int], str]:
    """The tool in a role; which of several, the window's variant says."""
    return lambda app, variant: app.tools[roles[variant % len(roles)]].name


def go_on(scene: Scene, chance: float, why: str) -> None:
    """After a trouble: the run fails, or with `chance` goes on."""
    if scene.rng.random() >= chance:
        scene.fail(why)
