"""Windows of four applications' traffic: `faulty(seed, fault)` and `clean(seed)`.

Even seeds tell of the applications to tune on, odd ones of the one to report on. A seed gives the same
window on every machine.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from halo_otel.model.span import Resource, Span
from tests.eval.alpha.applications import REPORTING, TUNING
from tests.eval.alpha.plays import answers, calls, runs, teams
from tests.eval.alpha.scene import Scene
from tests.eval.alpha.shapes import SHAPES, Plan, Shape, play
from tests.eval.alpha.story import Step, Tale
from tests.eval.alpha.writing import DIALECTS
from tests.eval.scenario import FAULTS, Planted, Window

_PLAYS: Final = {**calls.FAULTS, **answers.FAULTS, **teams.FAULTS, **runs.FAULTS}
_LURES: Final = {**calls.LURES, **answers.LURES, **teams.LURES, **runs.LURES}
_CATEGORY: Final = {one.name: one.category for one in FAULTS}
_NS: Final = 1_000_000_000
_EPOCH_NS: Final = 1_790_000_000 * _NS
_SHARES: Final = (0.08, 0.15, 0.3)  # of a window's runs that have the fault
_PLANTED_MIN: Final = 7
_MISHAPS: Final = 0.025  # runs that fail for one of many reasons
_STUMBLES: Final = 0.03  # runs in which a call fails once and works again


def faulty(seed: int, fault: str) -> Window:
    """A window in which `fault` is planted, beside look-alikes of it and of others."""
    return _Stage(seed, fault).window()


def clean(seed: int) -> Window:
    """A window of a healthy application with its look-alikes."""
    return _Stage(seed, None).window()


@dataclass(slots=True, kw_only=True)
class _Told:
    scene: Scene
    planted: bool


class _Stage:
    """All that is the same for the runs of one window."""

    def __init__(self, seed: int, fault: str | None) -> None:
        self.seed, self.fault = seed, fault
        self.rng = rng = random.Random(f"alpha {seed} {fault}")
        self.app = rng.choice(TUNING if seed % 2 == 0 else REPORTING)
        self.dialect = rng.choice(sorted(DIALECTS))
        self.play = _PLAYS[fault] if fault else None
        self.shape: Shape = rng.choice(self.play.shapes if self.play else SHAPES)
        self.variant = rng.randrange(36)
        self.size = min(380, max(80, int(rng.lognormvariate(5.0, 0.4))))
        self.models = rng.sample(self.app.models, rng.choice((1, 1, 2)))
        self.versions = rng.sample(self.app.versions, rng.choice((1, 1, 2)))
        self.newer = max(2, int(self.size * rng.uniform(0.25, 0.45)))  # runs of the second version
        self.inners, self.soft = rng.random() < 0.4, rng.random() < 0.2
        self.definitions, self.sessions = rng.random() < 0.7, rng.random() < 0.6
        self.unrecorded = rng.choice((0.0, 0.0, 0.05, 0.1))
        self.resources: dict[tuple[str, str], Resource] = {}
        self.lures = self._choose_lures()
        self._bend()

    def window(self) -> Window:
        began_ns, told = _EPOCH_NS + self.seed * 7_200 * _NS, []
        planted = self._planted()
        for number in range(self.size):
            began_ns += int(self.rng.expovariate(self.size / 3600) * _NS) + 1
            told.append(self._run(number, began_ns, planted[number]))
        spans = [span for one in told for span in DIALECTS[self.dialect](one.scene.tale)]
        spans.sort(key=lambda span: (span.end_ns, span.trace_id, span.span_id))
        return Window(
            name=f"alpha/{self.fault or 'clean'}/{self.seed}",
            application=self.app.name,
            dialect=self.dialect,
            spans=tuple(spans),
            planted=(self._truth(told, spans),) if self.fault else (),
            failed=frozenset(
                one.scene.tale.trace_id for one in told if one.scene.failed or one.scene.spoilt
            ),
            lures=tuple(self.lures),
        )

    def _choose_lures(self) -> dict[str, float]:
        """Name and share of runs; a faulty window mostly holds its own look-alike, too."""
        rng = self.rng
        fitting = [name for name, one in _LURES.items() if self.shape in one.shapes]
        chosen = rng.sample(sorted(fitting), rng.randint(3, 6) if self.fault is None else 2)
        if self.fault in fitting and rng.random() < 0.7:
            chosen.append(self.fault)
        if self.fault in {"cohort", "slow_tool", "costly_runs", "skipped_step", "content_off"}:
            chosen = [one for one in chosen if one not in {"slow_tool", "content_off"}]
        return {
            name: rng.uniform(0.01, 0.03) if _LURES[name].seldom else rng.uniform(0.03, 0.12)
            for name in dict.fromkeys(chosen)
        }

    def _bend(self) -> None:
        """What some faults ask of the window."""
        if self.fault == "cohort":
            self.versions = list(self.app.versions)
        elif self.fault is None and self.rng.random() < 0.2:  # a small cohort, failing as others do
            self.versions, self.newer = list(self.app.versions), self.rng.randint(4, 7)
            self.lures["cohort"] = self.newer / self.size
        if self.fault == "content_off":
            self.unrecorded = 0.0
        if self.fault == "unknown_tool":
            self.definitions = True

    def _planted(self) -> list[bool]:
        if self.fault is None:
            return [False] * self.size
        if self.fault == "cohort":
            return [number < self.newer for number in self._shuffled()]
        share = 0.4 if self.fault == "content_off" else self.rng.choice(_SHARES)
        count = max(_PLANTED_MIN, int(self.size * share))
        return [number < count for number in self._shuffled()]

    def _shuffled(self) -> list[int]:
        return self.rng.sample(range(self.size), self.size)

    def _run(self, number: int, began_ns: int, planted: bool) -> _Told:
        rng = random.Random(f"alpha {self.seed} {self.fault} {number}")
        batch = planted and self.fault == "content_off"
        newer = planted if self.fault == "cohort" else rng.random() < self.newer / self.size
        tale = Tale(
            rng=rng,
            app=self.app,
            trace_id=f"{rng.getrandbits(128) | 1:032x}",
            session=f"s-{self.seed}-{number - rng.randrange(2)}" if self.sessions else "",
            resource=self._resource(self.versions[-1 if newer else 0], batch),
            model=rng.choice(self.models),
            now_ns=began_ns,
            definitions=self.definitions,
            soft_errors=self.soft,
            inners=self.inners,
            variant=self.variant,
        )
        if self.fault == "serial_calls":  # their tool takes its time, in every run
            tale.slow = {self.app.tools["inspect"].name: 8}
        plan = Plan(tale=tale, shape=self.shape, job=rng.choice(("question", "change", "research")))
        self._set(plan, planted)
        return _Told(scene=play(plan), planted=planted)

    def _set(self, plan: Plan, planted: bool) -> None:
        """Choose what happens in the run."""
        rng = plan.tale.rng
        chance, keeps = rng.random(), False
        for name in self.lures:
            if name in _LURES and _LURES[name].everywhere:
                _LURES[name].apply(plan)
        if planted and self.play and (self.fault != "cohort" or rng.random() < 0.55):
            self.play.apply(plan)
            keeps = True
        elif chance < _MISHAPS:
            plan.twists["middle"] = runs.mishap
        elif chance < _MISHAPS + _STUMBLES:
            plan.stumbles = True
        else:
            keeps = self._lure(plan)
        if not keeps and rng.random() < self.unrecorded:
            plan.tale.recorded = False

    def _lure(self, plan: Plan) -> bool:
        """Perhaps a look-alike; true if it shows in what is asked and answered."""
        rng = plan.tale.rng
        for name, share in self.lures.items():
            lure = _LURES.get(name)
            if lure and not lure.everywhere and rng.random() < share:
                lure.apply(plan)
                return lure.keeps_words
        return False

    def _resource(self, version: str, batch: bool) -> Resource:
        service = self.app.service + ("-batch" if batch else "")
        key = (service, version)
        if key not in self.resources:
            self.resources[key] = Resource(
                attributes={
                    "service.name": service,
                    "service.version": version,
                    "deployment.environment.name": "production",
                    "cloud.region": self.app.regions[self.seed // 2 % 2],
                    "telemetry.sdk.language": "python",
                    "telemetry.sdk.name": "opentelemetry",
                }
            )
        return self.resources[key]

    def _truth(self, told: Sequence[_Told], spans: Sequence[Span]) -> Planted:
        assert self.fault is not None, "a clean window has no truth to tell"
        there = {span.span_id for span in spans}
        mine = [one.scene for one in told if one.planted]
        assert self.play is not None, "the play of the fault"
        agents = [step.agent for scene in mine for step in _blamed(scene, self.fault)]
        return Planted(
            fault=self.fault,
            category=_CATEGORY[self.fault],
            service=self.app.service + ("-batch" if self.fault == "content_off" else ""),
            agent=max(sorted(set(agents)), key=agents.count) if agents else self.app.lead,
            tool=self.play.tool(self.app, self.variant) if self.play.tool else None,
            causes={
                scene.tale.trace_id: tuple(
                    step.id for step in _blamed(scene, self.fault) if step.id in there
                )
                for scene in mine
            },
        )


def _blamed(scene: Scene, fault: str) -> list[Step]:
    """The steps to blame; nothing inside a run is to blame for what a cohort has in common."""
    if fault == "cohort":
        return []
    if fault == "slow_tool":
        name = scene.app.tools["open"].name
        return [step for step in scene.tale.steps if step.name == name]
    if fault == "costly_runs":
        return [step for step in scene.tale.steps if step.kind == "model"]
    return scene.blamed
