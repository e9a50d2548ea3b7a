"""A soak from its first process to the count of what is left."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.path.conftest import eventually
from tests.soak.account import Stored, Told, Windows, told
from tests.soak.faults import Faults
from tests.soak.rig import Rig
from tests.soak.watch import Watch

ROUGH_SHARE: Final = 0.4  # of the time in which processes are ended
QUIET_SHARE: Final = 0.2  # of the time after that, in which lookback and retention fill up
KILL_PAUSE_S_MAX: Final = 4.0
READY_S: Final = 150.0  # an engine that dies again and again pauses for up to a minute
SENT_S: Final = 2.0  # the emitter looks once a second for what is to be sent

# What happens to the rig meanwhile; returns the time without restarts, in seconds since the beginning.
Course = Callable[[Rig, Faults, Watch], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a soak came to."""

    stored: Stored
    told: Told
    watch: Watch
    sent: dict[str, Any]
    probed: dict[str, Any]
    faults: list[str]
    deaths: list[str]  # engines that ended otherwise than by our hand
    quarantined: int
    steady: tuple[float, float]  # the time without restarts, seconds since the beginning
    elapsed_s: float


def soak(rig: Rig, directory: Path, course: Course, *, seed: int) -> Outcome:
    """Run `course` in `directory`; the processes are gone when it returns."""
    watch = Watch(rig)
    windows = Windows(rig.service, directory)
    faults = Faults(rig, Random(seed))
    try:
        rig.start()
        watch.alongside.append(windows.keep)
        watch.start()
        steady = course(rig, faults, watch)
        elapsed_s = watch.elapsed_s
        sent, probed = rig.drain()
    finally:
        watch.end()
        rig.stop()
    windows.count_rest()
    return Outcome(
        stored=windows.stored(tuple(one) for one in sent["accepted"] + probed["accepted"]),
        told=told(rig.service, rig.collector),
        watch=watch,
        sent=sent,
        probed=probed,
        faults=faults.done,
        deaths=deaths(rig),
        quarantined=len(list((rig.service.storage / "windows").glob("quarantine/*"))),
        steady=steady,
        elapsed_s=elapsed_s,
    )


def schedule(rig: Rig, faults: Faults, watch: Watch, *, seconds: float) -> tuple[float, float]:
    """All kinds of faults, then only those that restart neither front nor engine."""
    rough_s = ROUGH_SHARE * seconds
    pause_s = min(60.0, seconds / 40)
    turns = faults.in_turn((*faults.restarting, *faults.gentle))
    while watch.elapsed_s < rough_s:
        threading.Event().wait(pause_s)
        faults.strike(next(turns))
    eventually("the service is ready", rig.ready, READY_S)
    begin_s = watch.elapsed_s + QUIET_SHARE * seconds
    turns = faults.in_turn(faults.gentle)
    while watch.elapsed_s < seconds - 2 * pause_s:
        threading.Event().wait(pause_s)
        faults.strike(next(turns))
    threading.Event().wait(max(0.0, seconds - watch.elapsed_s))
    return begin_s, watch.elapsed_s


def each_once(rig: Rig, faults: Faults, watch: Watch, *, pause_s: float) -> tuple[float, float]:
    """Every kind of fault, in an order of chance."""
    kinds = (*faults.restarting, *faults.gentle)
    for fault in islice(faults.in_turn(kinds), len(kinds)):
        threading.Event().wait(pause_s)
        faults.strike(fault)
    return watch.elapsed_s, watch.elapsed_s


def nothing(rig: Rig, faults: Faults, watch: Watch, *, seconds: float) -> tuple[float, float]:
    """Traffic and no faults."""
    threading.Event().wait(seconds)
    return 0.0, watch.elapsed_s


def kill(rig: Rig, faults: Faults, watch: Watch, *, kills: int, seed: int) -> tuple[float, float]:
    """`kill -9` of the service or of its engine: one half at any moment of start and work, the other
    soon after a run was recorded, when what it found is in the outbox or on its way."""
    chance = Random(seed)
    for _ in range(kills):
        if chance.random() < 0.5:
            before = analyses(rig)
            eventually("a run was recorded", partial(has_analysed, rig, before), 2 * READY_S)
            threading.Event().wait(chance.uniform(0.0, SENT_S))
        else:
            threading.Event().wait(chance.uniform(0.05, KILL_PAUSE_S_MAX))
        faults.strike(chance.choice([faults.kill_service, faults.kill_engine]))
        if chance.random() < 0.7:
            eventually("the service is ready", rig.ready, READY_S)
    return watch.elapsed_s, watch.elapsed_s


def analyses(rig: Rig) -> int:
    """Runs that were recorded, by all engines there were."""
    log = rig.service.process.log.read_text(encoding="utf-8", errors="replace")
    return log.count(" analysed (")


def has_analysed(rig: Rig, before: int) -> bool:
    return analyses(rig) > before


def deaths(rig: Rig) -> list[str]:
    """What the front says of engines that ended neither by a kill of ours nor for want of the room that `fill_disk`
    takes: an engine that is begun meanwhile has the front's limit."""
    log = rig.service.process.log.read_text(encoding="utf-8", errors="replace")
    return [
        line
        for line in log.splitlines()
        if "the engine is started again in" in line
        and "with code -9;" not in line
        and "File too large" not in line
    ]
