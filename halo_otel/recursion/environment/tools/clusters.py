"""`clusters`: groups of runs with the same trouble, each with a pair of runs to compare."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from halo_otel.analysis.judgement import Judgement
from halo_otel.recursion.environment import likeness
from halo_otel.recursion.environment.arguments import Paged
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, failure, page

UNEXPLAINED = "unexplained:"  # begins the name of a group of failed runs that no finding names


class Clusters(Paged):
    """Groups of runs with the same trouble: one per finding, by priority, then per service and agent the
    failed runs that no finding explains. Each with its size, how many failed, the run that stands for it
    (medoid: failing, if any failed), and the passing run of the same agent that is most like it. Give such
    a pair to compare. Name one cluster to get it alone."""

    cluster: str | None = Field(None, max_length=600, description="name of one; null: all")


def run(environment: Environment, asked: Clusters) -> Reply:
    """The clusters, or one."""
    groups = named(environment)
    if asked.cluster is not None:
        if asked.cluster not in groups:
            return failure(f"there is no cluster {asked.cluster[:80]!r}: call clusters without one")
        groups = {asked.cluster: groups[asked.cluster]}
    chosen = list(groups.items())[asked.offset :]
    # No reply holds more clusters than this, so the others need no pair.
    chosen = chosen[: max(1, asked.bytes_max // 150)]
    return page(
        environment.fence,
        [_told(environment, name, members) for name, members in chosen],
        offset=asked.offset,
        total=len(groups),
        bytes_max=asked.bytes_max,
    )


def named(environment: Environment) -> dict[str, list[Judgement]]:
    """The clusters' runs by name: fingerprints by priority, then what is unexplained."""
    judged = {one.trace_id: one for one in environment.judgements}
    groups: dict[str, list[Judgement]] = {}
    explained: set[str] = set()
    for finding in environment.report.findings:
        members = [judged[trace] for trace in finding.traces if trace in judged]
        if members:
            groups[finding.fingerprint] = members
            explained.update(finding.traces)
    left: dict[str, list[Judgement]] = defaultdict(list)
    for one in environment.judgements:
        if one.failed and one.trace_id not in explained:
            left[unexplained(one.service, one.agent)].append(one)
    return groups | dict(sorted(left.items(), key=lambda item: (-len(item[1]), item[0])))


def unexplained(service: str, agent: str) -> str:
    """The name of the group of an agent's failed runs that no finding names."""
    return f"{UNEXPLAINED}{service}/{agent}"


def pair(
    environment: Environment, members: Sequence[Judgement]
) -> tuple[str | None, str | None, float | None]:
    """The run that stands for a cluster, the passing run outside that is most like it, how far it is."""
    failed = [one.trace_id for one in members if one.failed]
    own = likeness.thinned(failed or [one.trace_id for one in members], likeness.MEMBERS_MAX)
    inside = {one.trace_id for one in members}
    agents = {(one.service, one.agent) for one in members}
    passing = [
        one.trace_id
        for one in environment.judgements
        if one.failed is False and one.trace_id not in inside and (one.service, one.agent) in agents
    ]
    others = likeness.thinned(passing, likeness.CANDIDATES_MAX)
    steps = likeness.steps_of(environment, [*own, *others])
    middle = likeness.medoid(own, steps)
    if middle is None:
        return None, None, None
    near = likeness.nearest(middle, others, steps)
    return middle, near, None if near is None else likeness.distance(steps[middle], steps[near])


def _told(environment: Environment, name: str, members: Sequence[Judgement]) -> dict[str, Any]:
    finding = environment.findings.get(name)
    medoid, contrast, apart = pair(environment, members)
    return {
        "cluster": name,
        "title": None if finding is None else environment.shown(finding.title),
        "category": None if finding is None else finding.category,
        "severity": None if finding is None else finding.severity.value,
        "size": len(members),
        "failed": sum(one.failed is True for one in members),
        "passed": sum(one.failed is False for one in members),
        "medoid": medoid,
        "nearest_passing": contrast,
        "apart": None if apart is None else round(apart, 2),
    }
