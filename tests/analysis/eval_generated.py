"""How well the deterministic findings describe planted faults, and how silent clean windows stay.

`python tests/analysis/eval_generated.py [WINDOWS]` prints the whole table. The traffic was written
without knowledge of the detectors. A planted fault is *found* when a finding tells of it under its own
category (`Label.told_by`). A finding of severity warn or above is *true* when it tells of a planted fault,
under the fault's category or one that also describes it (a retry storm is a shared error, too). Only faults in at
least `analysis.min_traces` traces are expected: a single bad run is evidence, not a pattern.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script, too

from halo_otel.clock import NS_PER_S
from halo_otel.config.sections import Analysis
from halo_otel.demo.applications import APPLICATIONS, Application
from halo_otel.demo.dialects import Dialect
from halo_otel.demo.faults import Fault, FaultKind, Label
from halo_otel.demo.traffic import Traffic, generate
from halo_otel.model.finding import Finding
from halo_otel.model.report import Report
from tests.analysis.eval_windows import alarms, analysed

START_NS = 1_790_000_000 * NS_PER_S
LASTING_NS = 1800 * NS_PER_S
RATES = (0.08, 0.2, 0.4)
RUNS = 150  # of each of the three applications: about 17,000 spans a window
MIN_TRACES = Analysis().min_traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One fault that had to be found, and what was found instead."""

    label: Label
    dialect: Dialect
    found: Finding | None
    hit_first: bool
    hit_third: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarm:
    """One finding that describes nothing that was planted."""

    seed: int
    finding: Finding
    dialect: Dialect


@dataclass(slots=True, kw_only=True)
class Score:
    """Sums over windows."""

    planted: list[Planted] = field(default_factory=list)
    false: list[FalseAlarm] = field(default_factory=list)
    true: int = 0
    windows: int = 0
    windows_with_false: int = 0

    @property
    def recall(self) -> float:
        return share(one.found is not None for one in self.planted)

    @property
    def precision(self) -> float:
        return self.true / max(1, self.true + len(self.false))

    @property
    def cause_first(self) -> float:
        return share(one.hit_first for one in self.planted if one.found)

    @property
    def cause_third(self) -> float:
        return share(one.hit_third for one in self.planted if one.found)


def share(hits: Iterable[bool]) -> float:
    """The share of true values; 0 of nothing."""
    values = list(hits)
    return sum(values) / max(1, len(values))


def window(
    seed: int, *, faulty: bool, runs: int = RUNS, payloads: bool = True
) -> tuple[Traffic, dict[str, Dialect]]:
    """A window of three services with one fault each, if `faulty`.

    Dialects change with every seed and kinds of fault with every third, so that 18 seeds in a row
    bring every fault to every application in every dialect.
    """
    rng = Random(f"plan {seed}")
    order = list(Dialect)
    dialects = {
        one.service: order[(seed + place) % len(order)] for place, one in enumerate(APPLICATIONS)
    }
    traffic = generate(
        seed=f"eval {seed}",
        runs=runs,
        start_ns=START_NS,
        duration_ns=LASTING_NS,
        dialects=dialects,
        faults=[_fault(one, seed // 3 + 2 * place, rng) for place, one in enumerate(APPLICATIONS)]
        if faulty
        else (),
        payloads=payloads,
    )
    return traffic, dialects


def _fault(application: Application, number: int, rng: Random) -> Fault:
    kind = list(FaultKind)[number % len(FaultKind)]
    agent, tool = rng.choice(application.targets[kind])
    return Fault(
        kind=kind, service=application.service, agent=agent, tool=tool, rate=rng.choice(RATES)
    )


def judge(
    score: Score, seed: int, traffic: Traffic, dialects: dict[str, Dialect], report: Report
) -> None:
    """Add one window's findings to `score`."""
    false = [
        FalseAlarm(
            seed=seed, finding=one, dialect=dialects.get(one.subject.service or "", Dialect.GENAI)
        )
        for one in alarms(report)
        if not any(label.told_by(one, also=True) for label in traffic.labels)
    ]
    score.windows += 1
    score.windows_with_false += bool(false)
    score.false += false
    score.true += len(alarms(report)) - len(false)
    for label in traffic.labels:
        if len(label.occurrences) >= MIN_TRACES:
            score.planted.append(_planted(label, dialects[label.fault.service], report.findings))


def _planted(label: Label, dialect: Dialect, findings: Sequence[Finding]) -> Planted:
    found = next((one for one in findings if label.told_by(one)), None)
    spans = cause_spans(found) if found else []
    causes = {
        (occurrence.trace_id, span_id)
        for occurrence in label.occurrences
        for span_id in occurrence.cause_span_ids
    }
    return Planted(
        label=label,
        dialect=dialect,
        found=found,
        hit_first=bool(causes.intersection(spans[:1])),
        hit_third=bool(causes.intersection(spans[:3])),
    )


def cause_spans(finding: Finding) -> list[tuple[str, str]]:
    """The spans a reader looks at, in order: the root cause first, then the evidence."""
    spans = [(str(one.trace_id), str(one.span_id)) for one in finding.evidence]
    if finding.root_cause is not None:
        spans.insert(0, (str(finding.root_cause.trace_id), str(finding.root_cause.span_id)))
    return list(dict.fromkeys(spans))


def evaluate(
    seeds: Iterable[int], *, faulty: bool, runs: int = RUNS, payloads: bool = True
) -> Score:
    """Generate, analyse and judge one window for each seed."""
    score = Score()
    for seed in seeds:
        traffic, dialects = window(seed, faulty=faulty, runs=runs, payloads=payloads)
        judge(score, seed, traffic, dialects, analysed(traffic.spans))
    return score


def _print_group(title: str, planted: Sequence[Planted], key: Callable[[Planted], str]) -> None:
    print(f"\n  {title:<18}{'planted':>9}{'recall':>9}{'cause@1':>9}{'cause@3':>9}")
    groups: dict[str, list[Planted]] = defaultdict(list)
    for one in planted:
        groups[key(one)].append(one)
    for name, members in sorted(groups.items()):
        part = Score(planted=members)
        print(
            f"  {name:<18}{len(members):>9}{part.recall:>9.2f}"
            f"{part.cause_first:>9.2f}{part.cause_third:>9.2f}"
        )


def print_score(title: str, score: Score) -> None:
    """The table for people."""
    print(
        f"\n{title}: {score.windows} windows, false alarms in {score.windows_with_false}"
        f" ({len(score.false)} findings)"
    )
    if score.planted:
        print(f"  precision {score.precision:.3f}   recall {score.recall:.3f}", end="   ")
        print(f"cause@1 {score.cause_first:.3f}   cause@3 {score.cause_third:.3f}")
        _print_group("fault", score.planted, lambda one: one.label.fault.kind)
        _print_group("dialect", score.planted, lambda one: one.dialect)
        _print_group("application", score.planted, lambda one: one.label.fault.service)
        _print_group("rate", score.planted, lambda one: f"{one.label.fault.rate:.2f}")
        for one in score.planted:
            if one.found is None:
                fault = one.label.fault
                print(
                    f"  missed: {fault.kind} {fault.agent}/{fault.tool} ({one.dialect}),"
                    f" {len(one.label.occurrences)} traces, rate {fault.rate}"
                )
    for wrong in score.false:
        finding = wrong.finding
        print(
            f"  false: seed {wrong.seed} {finding.severity} {finding.category}: {finding.title}"
            f" ({wrong.dialect}, confidence {finding.confidence:.2f})"
        )


def main() -> None:
    """Print everything; the argument is the number of windows of each sort."""
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 18
    print_score("planted faults", evaluate(range(windows), faulty=True))
    print_score("clean", evaluate(range(1000, 1000 + windows), faulty=False))
    print_score(
        "clean, no payloads",
        evaluate(range(2000, 2000 + windows // 3), faulty=False, payloads=False),
    )


if __name__ == "__main__":
    main()
