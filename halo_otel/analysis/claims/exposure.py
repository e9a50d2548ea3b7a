"""How many newly judged traces could have shown a finding that is already known, and did not.

The registry resolves a finding only after enough of them (detectors.md §1.7). Not reported is not the
same as not there: a pattern may be below the gate this time, or beyond `analysis.max_findings`.
"""

from collections.abc import Iterable, Iterator, Mapping

from halo_otel.analysis import cohorts
from halo_otel.analysis.claims.hit import Group
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.run import Run
from halo_otel.model.finding import Subject


def exposed(run: Run, subjects: Mapping[str, Subject], since_ns: int) -> dict[str, int | None]:
    """For each fingerprint, the traces in which its subject was at work without showing it; None if a
    newly judged trace shows it.

    Only traces judged for the first time count, of which something arrived after `since_ns`: what an
    earlier process had judged is judged again after a restart, and is no new evidence.
    """
    first = [judgement for judgement in run.first if judgement.last_arrival_ns > since_ns]
    counts: dict[str, int | None] = {}
    for name in subjects:
        shows = run.sightings.get(name, frozenset())
        counts[name] = None if any(j.trace_id in shows for j in run.judged) else 0
    for _, names in at_work(first, subjects):
        for name in names:
            count = counts[name]
            counts[name] = None if count is None else count + 1
    return counts


def at_work(
    judgements: Iterable[Judgement], subjects: Mapping[str, Subject]
) -> Iterator[tuple[Judgement, set[str]]]:
    """With each trace, the fingerprints whose subject was at work in it."""
    parts: dict[Group, list[str]] = {}  # a trace's group -> the fingerprints whose subject it is
    for judgement in judgements:
        found: set[str] = set()
        for work in judgement.work:
            if work.group not in parts:
                parts[work.group] = [
                    name for name, subject in subjects.items() if _is_about(subject, work.group)
                ]
            found.update(parts[work.group])
        yield (
            judgement,
            {name for name in found if cohorts.concerns(judgement, subjects[name].attributes)},
        )


def _is_about(subject: Subject, group: Group) -> bool:
    if (subject.service or "") != group.service:
        return False
    if subject.agent is not None and subject.agent != group.agent:
        return False
    if subject.tool is not None:
        return (group.operation, group.target) == ("tool", subject.tool)
    if subject.model is not None:
        return (group.operation, group.target) == ("llm", subject.model)
    return True
