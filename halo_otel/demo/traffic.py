"""Realistic agent traffic with planted faults, the same for the same seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from halo_otel.demo.applications import APPLICATIONS, Application
from halo_otel.demo.dialects import Dialect, speak
from halo_otel.demo.dialects.spans import Setting
from halo_otel.demo.faults import CATEGORY, Fault, Faulty, Healthy, Label, Occurrence, Trail
from halo_otel.demo.recording import Call, Conduct, Run
from halo_otel.model.span import Resource, Span

DIALECTS: Final[Mapping[str, Dialect]] = {
    "travel-assistant": Dialect.OPENINFERENCE,
    "code-agent": Dialect.GENAI,
    "support-desk": Dialect.GENAI_EVENTS,
}
REPLICAS: Final = 2
NEW_VERSION_SHARE: Final = 0.3
# Shares of runs in which somebody else has asked just that before, and that continue a session.
SAME_QUESTION_SHARE: Final = 0.08
SAME_SESSION_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Generated spans in the order of their ends, and what was planted in them."""

    spans: tuple[Span, ...]
    labels: tuple[Label, ...]
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traced:
    """One run, done: its spans and what each fault left in it."""

    spans: list[Span]
    trails: list[tuple[Fault, Trail]]


def generate(
    *,
    seed: int | str,
    runs: int,
    start_ns: int,
    duration_ns: int,
    applications: Sequence[Application] = APPLICATIONS,
    dialects: Mapping[str, Dialect] = DIALECTS,
    faults: Sequence[Fault] = (),
    payloads: bool = True,
) -> Traffic:
    """`runs` runs of each application, begun at random between `start_ns` and `duration_ns` later.

    `dialects` says which convention a service speaks; `payloads` off leaves arguments, results and
    messages out, as instrumentations do by default. At most one fault strikes a run: faults of one
    service take turns.
    """
    spans: list[Span] = []
    traces: list[str] = []
    found: dict[Fault, list[tuple[str, Trail]]] = {fault: [] for fault in faults}
    for application in applications:
        player = _Player(
            application=application,
            dialect=dialects[application.service],
            seed=f"{seed}/{application.service}",
            start_ns=start_ns,
            duration_ns=duration_ns,
            payloads=payloads,
            faults=[fault for fault in faults if fault.service == application.service],
        )
        for number in range(runs):
            traced = player.play(number)
            spans += traced.spans
            traces.append(traced.spans[0].trace_id)
            for fault, trail in traced.trails:
                found[fault].append((traces[-1], trail))
    spans.sort(key=lambda span: span.end_ns)  # stable: children stay before their parents
    labels = tuple(_label(fault, trails) for fault, trails in found.items())
    return Traffic(spans=tuple(spans), labels=labels, trace_ids=tuple(traces))


@dataclass(kw_only=True)
class _Player:
    """Plays the runs of one application."""

    application: Application
    dialect: Dialect
    seed: str
    start_ns: int
    duration_ns: int
    payloads: bool
    faults: Sequence[Fault]

    def __post_init__(self) -> None:
        self._resources = _resources(self.application)
        self._session = ("", "")

    def play(self, number: int) -> _Traced:
        rng = Random(f"{self.seed}/{number}")
        trail = Trail()
        conduct: Conduct = Healthy()
        fault = self.faults[number % len(self.faults)] if self.faults else None
        if fault is not None:
            conduct = Faulty(fault, trail)
        run = Run(
            rng=rng,
            topic=self._topic(rng, number),
            start_ns=self.start_ns + rng.randrange(self.duration_ns),
            model=self.application.model,
            conduct=conduct,
        )
        weights = [weight for weight, _ in self.application.scenarios]
        # The topic decides the scenario too: who asks the same gets the same treatment.
        [(_, scenario)] = run.topic.choices(self.application.scenarios, weights)
        scenario(run)
        assert run.root is not None
        spans = list(speak(self.dialect, self._setting(run, rng), run.root))
        trails = [(fault, trail)] if fault is not None and trail.spans else []
        return _Traced(spans=spans, trails=trails)

    def _topic(self, rng: Random, number: int) -> Random:
        if number > 0 and rng.random() < SAME_QUESTION_SHARE:
            number = rng.randrange(number)
        return Random(f"{self.seed}/topic/{number}")

    def _setting(self, run: Run, rng: Random) -> Setting:
        if not self._session[0] or rng.random() >= SAME_SESSION_SHARE:
            self._session = (f"sess-{rng.getrandbits(48):012x}", f"user-{rng.randrange(400):04d}")
        new = rng.random() < NEW_VERSION_SHARE
        version = self.application.versions[-1 if new else 0]
        return Setting(
            trace_id=run.trace_id,
            session_id=self._session[0],
            user_id=self._session[1],
            model=self.application.model,
            provider=self.application.provider,
            workflow=self.application.service.replace("-", " ").title(),
            payloads=self.payloads,
            resource=self._resources[version, rng.randrange(REPLICAS)],
        )


def _resources(application: Application) -> dict[tuple[str, int], Resource]:
    """One resource for each version and replica of a deployment."""
    return {
        (version, replica): Resource(
            attributes={
                "service.name": application.service,
                "service.version": version,
                "service.namespace": "agents",
                "service.instance.id": f"{application.service}-{version}-{replica}",
                "deployment.environment.name": "production",
                "k8s.pod.name": f"{application.service}-{replica}",
                "telemetry.sdk.language": "python",
                "telemetry.sdk.name": "opentelemetry",
                "telemetry.sdk.version": "1.45.0",
            }
        )
        for version in application.versions
        for replica in range(REPLICAS)
    }


def _label(fault: Fault, trails: Sequence[tuple[str, Trail]]) -> Label:
    category, also = CATEGORY[fault.kind]
    return Label(
        fault=fault,
        category=category,
        also=also,
        tools=tuple(sorted({fault.tool, *(name for _, trail in trails for name in trail.tools)})),
        occurrences=tuple(
            Occurrence(
                trace_id=trace_id, span_ids=_ids(trail.spans), cause_span_ids=_ids(trail.causes)
            )
            for trace_id, trail in trails
        ),
    )


def _ids(calls: Sequence[Call]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(call.span_id for call in calls))
