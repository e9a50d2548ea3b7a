"""What a detector is: how it finds, how it is told, and by which policy its patterns are findings."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from halo_otel.analysis.claims.hit import Hit
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.claims.wording import Sentences
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile


class Nature(StrEnum):
    """What a claim says about the runs it is about; decides severity and rank (see `gate`)."""

    FAULT = "fault"  # something failed: a failed run is blamed on it unless it was recovered from
    RISK = "risk"  # it may be harmless: blamed only where runs with it fail more often
    INEFFICIENCY = "inefficiency"  # the work gets done, at a price
    ADVICE = "advice"  # nothing is wrong; it could be had cheaper
    TELEMETRY = "telemetry"  # about what was recorded, not about the agents


class Isolated(StrEnum):
    """Whether a pattern too rare to be systemic is still shown, as `info`."""

    NEVER = "never"
    STRONG = "strong"  # if it is hard to overlook in one trace (`Hit.strength`)
    ANY = "any"  # in a small window, where nothing can be systemic
    ALWAYS = "always"  # once is enough


class Habit(StrEnum):
    """How to tell that it is how the agent works: most of its successful runs do it too."""

    NEVER = "never"  # however many do it, it is none
    SHOWN = "shown"  # most of those that could show it do
    REPEATS = "repeats"  # most of them repeat calls of this kind, in a row or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One claim about traces.

    `find` is a pure function over the traces of one shard; it returns at most one hit per trace and
    identity. `tell` writes the sentences of a finding. `prior` is the precision it is trusted with, in
    0..1. One that `claims_calls` owns the spans it explains: of several such detectors about the same
    spans of a trace the one further up in `detectors.DETECTORS` keeps them. `fails`: the operations it
    is about fail, so that unrecovered and frequent it is an error. `own_doing`: it comes from what the agent was
    told or given, so that it comes again until somebody changes that, also where it is made good. `waste_floor` is the share of the
    agent's calls and time below which the claim is not worth a word, `rate_min` the share of exposed
    traces, `risk_low_min` the lower bound of the risk ratio of failing with it. Where the frame does not hold
    what it `needs` (`Frame.holds`), it has nothing to find and is not asked.
    """

    name: str
    category: str
    find: Callable[[Frame, Profile], list[Hit]]
    tell: Callable[[Assessment], Sentences]
    prior: float
    nature: Nature
    isolated: Isolated = Isolated.STRONG
    habit: Habit = Habit.NEVER
    habit_repeats: int = 1
    waste_floor: float = 0.0
    risk_low_min: float = 0.0
    rate_min: float = 0.0
    fails: bool = False
    own_doing: bool = False
    needs: str | None = None
    needs_payload: bool = False
    claims_calls: bool = False
