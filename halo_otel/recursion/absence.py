"""What the silence of a model's run says of what the model found before.

A finding of the model belongs to a cluster: the failed runs of one agent that nothing else explains, its runs
of unknown outcome, or the window as a whole. A run that went through the cluster, or saw that there is none,
and did not say it again, had as many chances to show it as there were such runs since. One that did not get to
the cluster says nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from halo_otel.analysis.judgement import Judgement
from halo_otel.model.finding import Finding
from halo_otel.recursion import plan
from halo_otel.recursion.claims.telling import identity
from halo_otel.recursion.environment.tools import clusters
from halo_otel.recursion.talk.conversing import WINDOW


def absent(
    known: Iterable[Finding], fresh: Iterable[Judgement], passed_over: Collection[str]
) -> dict[str, int | None]:
    """For the fingerprints of `known` findings of the model, how many `fresh` judgements could have shown
    each; None if its cluster is one of those `passed_over`. Where no run could, nothing is said.

    `fresh` are the judgements that no earlier run of the model counted.
    """
    chances: Counter[str] = Counter()
    for one in fresh:
        name = plan.sampled if one.failed is None else clusters.unexplained
        chances.update((name(one.service, one.agent), WINDOW))
    return {
        finding.fingerprint: None if cluster in passed_over else count
        for finding in known
        for cluster, count in chances.items()
        if identity(finding.subject, finding.category, cluster) == finding.fingerprint
    }
