"""Which runs of a service fail, are slow or cost much: those of a version, a model, a tenant, or a pair of
such attributes.

    outcomes ─▶ mining ─▶ telling          per service: who is bad ─▶ cohorts ─▶ findings

Only what was settled before a run began is named (`origins.NAMES`): a cohort is where to look, and the
nearest thing to a cause that comparing runs can give. Runs are compared within their agent, task and size
of the input, which explain most of what a healthy system shows. That a task fails more often than others
is told for itself: it may just be harder.
Whose outcome is unknown is not compared. Deterministic: the shuffles are seeded by the service's name.

A version that replaced others within the traces at hand is told as a regression, one that runs beside
them as a cohort.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from halo_otel.analysis.causality import origins
from halo_otel.analysis.cohorts.mining import SUPPORT_MIN, mine
from halo_otel.analysis.cohorts.outcomes import OUTCOMES
from halo_otel.analysis.cohorts.telling import tell
from halo_otel.analysis.judgement import Judgement
from halo_otel.config import sections
from halo_otel.model.finding import Finding
from halo_otel.model.span import Attributes

COHORTS_MAX: Final = 3  # of a service and outcome; those that follow rarely tell another thing


def find(
    judgements: Sequence[Judgement],
    *,
    settings: sections.Analysis,
    resources: Mapping[int, Attributes],
) -> list[Finding]:
    """The cohorts in `judgements`, which stand in the order of their trace ids."""
    services: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        services[judgement.service].append(judgement)
    findings: list[Finding] = []
    for service, of_service in sorted(services.items()):
        if len(of_service) < 2 * SUPPORT_MIN:
            continue
        for outcome in OUTCOMES:
            compared, cases = outcome.cases(of_service)
            found = [
                cohort
                for cohort in mine(cases, outcome.attributes, f"{service} {outcome.name}")
                if outcome.means(cohort.conditions)
            ]
            for cohort in found[:COHORTS_MAX]:
                told = tell(
                    cohort, outcome, compared, len(judgements), settings.max_evidence, resources
                )
                findings += [told] if told is not None else []
    return findings


def concerns(judgement: Judgement, attributes: Mapping[str, str]) -> bool:
    """Whether a trace has these `attributes` of a subject, as far as traces have such."""
    own = dict(judgement.origin.attributes)
    return all(
        own.get(name) == value for name, value in attributes.items() if name in origins.NAMES
    )
