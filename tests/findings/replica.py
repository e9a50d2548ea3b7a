"""A replica in a process of its own: records runs that depend on nothing but seed, name and number."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

from halo_otel.clock import NS_PER_S
from halo_otel.config.sections import Emit
from halo_otel.errors import Retryable
from halo_otel.findings import Registry, RunInfo, Transition
from halo_otel.model.cell import Trend
from halo_otel.model.report import Report
from halo_otel.selfobs import Counters
from tests.findings.conftest import Build

PROCESSES = get_context("forkserver")  # imports once what its processes share
PROCESSES.set_forkserver_preload(["tests.findings.replica"])

ROUNDS = 24
LAST_SIGHT = 18  # after this round nobody shows anything
NAMES = ("a", "b", "c", "d")
SKEW_NS = {"r0": -300 * NS_PER_S, "r1": 0, "r2": 300 * NS_PER_S}
ATTEMPTS_MAX = 50
EMIT = Emit(max_outbox=1_000_000, repeat_interval=1800)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    report: Report
    run: RunInfo
    now_ns: int
    exposed: dict[str, int | None]
    trends: dict[str, Trend]

    def into(self, registry: Registry) -> list[Transition]:
        return registry.record(self.report, self.run, self.now_ns, self.exposed, self.trends)


def made(seed: int, replica: str, number: int) -> Made:
    """The run `number` of a replica: the windows of all overlap, their clocks differ, findings come and go."""
    draw = random.Random(f"{seed}/{replica}/{number}")
    found = []
    exposed: dict[str, int | None] = {}
    trends = {}
    for index, name in enumerate(NAMES):
        key = Build.finding(name).fingerprint
        first = 6 * number + draw.randint(0, 12)
        if number >= LAST_SIGHT or (number // 4 + index) % 2:
            exposed[key] = draw.randint(20, 40)
        elif draw.random() < 0.7:
            found.append(Build.finding(name, range(first, first + draw.randint(1, 5))))
            exposed[key] = draw.choice([None, 0, 2])
        if draw.random() < 0.2:
            trends[key] = draw.choice(list(Trend))
    return Made(
        report=Build.report(*found),
        run=Build.run(number),
        now_ns=Build.start_ns + 300 * number * NS_PER_S + SKEW_NS[replica],
        exposed=exposed,
        trends=trends,
    )


def work(url: str, seed: int, replica: str, first: int, told: Connection) -> None:
    """Record the runs from `first` on, each again until the registry says it has it; tell of each."""
    registry = Registry(url, EMIT, Counters(), replica=replica)
    _insistently(registry.open)
    for number in range(first, ROUNDS):
        _insistently(partial(made(seed, replica, number).into, registry))
        told.send(number)
    registry.close()


def _insistently(act: Callable[[], object]) -> None:
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            act()
            return
        except Retryable:
            if attempt == ATTEMPTS_MAX:
                raise
