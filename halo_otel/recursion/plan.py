"""What is looked at: a tree of tasks that the window's structure bounds, not the model's wish.

window
  cluster     one of the worst findings, a large group of failed runs that no finding names, or runs
              of an agent of which nobody knows how they ended
    part      sub-goals of the run that stands for the cluster, where no rule says which span is to blame
      part    some of their steps, where they are too many to be judged at once
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from halo_otel.analysis.judgement import Judgement
from halo_otel.model.finding import Finding, Severity, Status
from halo_otel.model.goal import GoalNode, Level, Verdict
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.tools import clusters

EXPLAINED_MAX: Final = 8  # detectors.md §1.11: eight clusters a window
UNEXPLAINED_MAX: Final = 3
SAMPLED_MAX: Final = 2
TRACES_MIN: Final = 3  # as for any systemic finding (`claims.gate`)
PARTS_MAX: Final = 4  # of one run
STEPS_MAX: Final = 10  # judged at once (detectors.md §1.11: 5 to 10 nodes)
_SAMPLED: Final = "unknown outcome:"


class Kind(StrEnum):
    """Why a cluster is looked at."""

    EXPLAIN = "explain"  # a finding: what is missing is the mechanism
    UNEXPLAINED = "unexplained"  # failed runs without a finding
    SAMPLED = "sampled"  # runs of which nobody knows how they ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """All of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Some runs; `finding` is the one that names them."""

    name: str
    kind: Kind
    members: Sequence[Judgement]
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Sub-goals of a run that follow each other, or some of their steps, and what answers to them in a run
    that passed. `spans` and `expected` are ids in the order of the run."""

    cluster: Cluster
    trace_id: str
    goals: tuple[GoalNode, ...]
    spans: tuple[str, ...]
    passing: str | None = None
    expected: tuple[str, ...] = ()


Task: TypeAlias = Window | Cluster | Part


def clusters_of(environment: Environment) -> list[Cluster]:
    """The worst findings, the largest groups of failed runs without one, then those of unknown outcome.

    The environment need not be entered.
    """
    groups = clusters.named(environment)
    findings = environment.findings
    worth = [
        Cluster(name=name, kind=Kind.EXPLAIN, members=members, finding=findings[name])
        for name, members in groups.items()
        if name in findings and _is_worth_it(findings[name])
    ]
    unexplained = [
        Cluster(name=name, kind=Kind.UNEXPLAINED, members=members)
        for name, members in groups.items()
        if name not in findings and len(members) >= TRACES_MIN
    ]
    sampled = list(_sampled(environment, worth))
    return [*worth[:EXPLAINED_MAX], *unexplained[:UNEXPLAINED_MAX], *sampled[:SAMPLED_MAX]]


def names_of(environment: Environment) -> set[str]:
    """The names of all clusters there are, also of those that are not looked at."""
    sampled = {cluster.name for cluster in _sampled(environment, ())}
    return {*clusters.named(environment), *sampled}


def sampled(service: str, agent: str) -> str:
    """The name of an agent's runs of unknown outcome."""
    return f"{_SAMPLED}{service}/{agent}"


def _is_worth_it(finding: Finding) -> bool:
    return finding.severity is not Severity.INFO and finding.status is not Status.MUTED


def _sampled(environment: Environment, worth: Sequence[Cluster]) -> Iterator[Cluster]:
    """By agent the runs of unknown outcome without a finding that matters, most first."""
    named = {one.trace_id for cluster in worth for one in cluster.members}
    groups: dict[str, list[Judgement]] = defaultdict(list)
    for one in environment.judgements:
        if one.failed is None and one.trace_id not in named:
            groups[sampled(one.service, one.agent)].append(one)
    for name, members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        if len(members) >= TRACES_MIN:
            yield Cluster(name=name, kind=Kind.SAMPLED, members=members)


def parts_of(
    environment: Environment, cluster: Cluster, run: str, passing: str | None
) -> list[Part]:
    """The parts of `run` that are judged, in their order: small sub-goals are taken together, and of many
    parts those in which something went wrong, and the last one, come before the others."""
    nodes = environment.goals(run)
    expected = environment.goals(passing) if passing else ()
    answering = [_spans(expected, node) for node in _subgoals(expected)]
    found = [
        Part(
            cluster=cluster,
            trace_id=run,
            goals=tuple(goal for _, goal in group),
            spans=tuple(span for _, goal in group for span in _spans(nodes, goal)),
            passing=passing,
            expected=tuple(span for n, _ in group if n < len(answering) for span in answering[n]),
        )
        for group in _packed(nodes)
    ]
    told = [part for part in found if part.spans]
    chosen = sorted(told, key=lambda part: (not _went_wrong(part.goals), part is not told[-1]))
    return sorted(chosen[:PARTS_MAX], key=lambda part: part.goals[0].index)


def split(environment: Environment, part: Part) -> list[Part]:
    """The steps of a part that are too many for one look, in groups; none of a part that is small enough."""
    nodes = environment.goals(part.trace_id)
    steps = [step for goal in part.goals for step in _steps(nodes, goal)]
    if len(steps) <= STEPS_MAX:
        return []
    groups = [steps[first : first + STEPS_MAX] for first in range(0, len(steps), STEPS_MAX)]
    chosen = sorted(groups, key=lambda group: not _went_wrong(group))[:PARTS_MAX]
    return [
        replace(part, spans=tuple(span for step in group for span in _spans(nodes, step)))
        for group in sorted(chosen, key=lambda group: group[0].index)
    ]


def _packed(nodes: Sequence[GoalNode]) -> Iterator[list[tuple[int, GoalNode]]]:
    """The sub-goals with their places, in groups of at most `STEPS_MAX` steps, a larger one alone."""
    group: list[tuple[int, GoalNode]] = []
    size = 0
    for place, goal in enumerate(_subgoals(nodes)):
        steps = sum(1 for _ in _steps(nodes, goal))
        if group and size + steps > STEPS_MAX:
            yield group
            group, size = [], 0
        group.append((place, goal))
        size += steps
    if group:
        yield group


def _steps(nodes: Sequence[GoalNode], goal: GoalNode) -> Iterator[GoalNode]:
    return (node for node in _below(nodes, goal) if node.level is Level.STEP)


def _subgoals(nodes: Sequence[GoalNode]) -> list[GoalNode]:
    """The outermost ones: what lies inside one is judged with it."""
    return [
        node
        for node in nodes
        if node.level is Level.SUBGOAL and nodes[node.parent].level is not Level.SUBGOAL
    ]


def _below(nodes: Sequence[GoalNode], top: GoalNode) -> Iterator[GoalNode]:
    inside = {top.index}
    for place in range(top.index + 1, len(nodes)):  # depth first: they follow
        if nodes[place].parent not in inside:
            break
        inside.add(place)
        yield nodes[place]


def _spans(nodes: Sequence[GoalNode], top: GoalNode) -> tuple[str, ...]:
    return tuple(node.span_id for node in (top, *_below(nodes, top)) if node.span_id)


def _went_wrong(nodes: Sequence[GoalNode]) -> bool:
    verdicts = {one for node in nodes for one in (node.correctness, node.latency, node.resources)}
    return not verdicts.isdisjoint((Verdict.BAD, Verdict.SUSPECT, Verdict.RECOVERED))
