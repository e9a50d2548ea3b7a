"""The life of a finding, as pure functions.

            first seen
                │
                ▼      seen in a 4th window,
               NEW ─────── or after 7 days ────────▶ ONGOING
                │                                     │   ▲
    exposed, not seen                 exposed, not seen   seen in a 4th window since, or after 7 days
                │                                     │   │
                └────────────▶ RESOLVED ◀─────────────┘   │
                                 │    ▲                   │
                          seen again  exposed, not seen   │
                                 ▼    │                   │
                               REGRESSED ─────────────────┘

    any ── mute ──▶ MUTED ── unmute, or its time has come ──▶ where its life stands by then

*Seen* means: a run reported it with an affected trace that no run had reported before. Lookbacks
overlap, so the same traces come back for an hour; they say nothing new and change nothing.

*Exposed, not seen* is the rule of three: at the rate at which it was last seen, the traces judged
since should have shown it at least three times (then the chance of seeing none by luck is below
e^-3 = 5 %) and none did; one that shows it, be it too little for a finding, starts the count anew. A
silent service resolves nothing (detectors.md §1.7 "Fix claim"). Where several replicas share a registry,
each of those that showed it has to have been silent for as long (see `sightings`).

*Heading* up or down means: its rate was tested against its own past (`analysis.change.monitor`). Up leads
from every open state to ESCALATING, down to IMPROVING, and from both ONGOING when it is as ever again;
they resolve as ONGOING does.

Muting hides the life, it does not stop it: a muted finding still counts, resolves and regresses.
"""

from dataclasses import dataclass, replace
from typing import Final

from halo_otel.clock import NS_PER_S
from halo_otel.model.cell import Trend
from halo_otel.model.finding import Status

# detectors.md §1.10: new is "first 7 days or first 3 windows"; a regression is news for as long.
FRESH_WINDOWS: Final = 3
FRESH_NS: Final = 7 * 86_400 * NS_PER_S
# detectors.md §1.7: resolved iff the expected occurrences are at least three and none was seen.
RESOLVED_EXPECTED: Final = 3.0

FOR_GOOD_NS: Final = 2**63 - 1  # a mute without an end

UNRESOLVED: Final = tuple(status for status in Status if status is not Status.RESOLVED)
OPEN: Final = tuple(status for status in UNRESOLVED if status is not Status.MUTED)

_HEADED: Final = {Trend.UP: Status.ESCALATING, Trend.DOWN: Status.IMPROVING}
_FRESH: Final = frozenset({Status.NEW, Status.REGRESSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where one finding stands. `life` goes on under a mute; `status` is what is shown."""

    life: Status
    life_since_ns: int
    life_windows: int  # windows it was seen in since `life` was entered
    windows_seen: int
    unseen_traces: int = 0  # exposed traces judged since it was last seen
    muted_until_ns: int | None = None
    resolved_ns: int | None = None

    @property
    def status(self) -> Status:
        return self.life if self.muted_until_ns is None else Status.MUTED


def born(now_ns: int) -> State:
    """The state of a finding nobody has seen before."""
    return State(life=Status.NEW, life_since_ns=now_ns, life_windows=1, windows_seen=1)


def seen(state: State, now_ns: int) -> State:
    """After a run that saw it in at least one more trace."""
    state = replace(
        state,
        windows_seen=state.windows_seen + 1,
        life_windows=state.life_windows + 1,
        unseen_traces=0,
    )
    if state.life is Status.RESOLVED:
        return _entered(state, Status.REGRESSED, now_ns)
    fresh = state.life_windows <= FRESH_WINDOWS and now_ns - state.life_since_ns <= FRESH_NS
    if state.life in _FRESH and not fresh:
        return _entered(state, Status.ONGOING, now_ns)
    return state


def unseen(state: State, exposed: int, rate: float, now_ns: int, *, held: bool = False) -> State:
    """After a run that judged `exposed` traces which could have shown it, and did not.

    `rate` is affected over exposed traces when it was last seen, in 0..1. A finding that is `held` by a
    replica whose own traces showed it is not resolved.
    """
    state = replace(state, unseen_traces=state.unseen_traces + exposed)
    if held or state.life is Status.RESOLVED or not silent_enough(state.unseen_traces, rate):
        return state
    return replace(_entered(state, Status.RESOLVED, now_ns), resolved_ns=now_ns)


def silent_enough(unseen_traces: int, rate: float) -> bool:
    """Whether `unseen_traces` exposed traces should have shown it `RESOLVED_EXPECTED` times at `rate`."""
    return unseen_traces * rate >= RESOLVED_EXPECTED


def glimpsed(state: State) -> State:
    """After a run in which a trace showed it, though not enough of them for a finding."""
    return replace(state, unseen_traces=0)


def headed(state: State, trend: Trend, now_ns: int) -> State:
    """After a window whose rate of it was tested against its past."""
    life = _HEADED.get(trend)
    if state.life is Status.RESOLVED or state.life is life:
        return state
    if life is not None:
        return _entered(state, life, now_ns)
    return _entered(state, Status.ONGOING, now_ns) if state.life in _HEADED.values() else state


def muted(state: State, until_ns: int | None) -> State:
    """Silent until `until_ns`, or for good."""
    return replace(state, muted_until_ns=FOR_GOOD_NS if until_ns is None else until_ns)


def unmuted(state: State) -> State:
    """Heard again."""
    return replace(state, muted_until_ns=None)


def woken(state: State, now_ns: int) -> State:
    """Heard again if its mute has ended by `now_ns`."""
    ended = state.muted_until_ns is not None and state.muted_until_ns <= now_ns
    return unmuted(state) if ended else state


def _entered(state: State, life: Status, now_ns: int) -> State:
    return replace(state, life=life, life_since_ns=now_ns, life_windows=1)
