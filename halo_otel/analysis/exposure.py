"""How many newly judged traces could have shown a finding that is already known.

The registry resolves a finding only after enough such traces did not show it (detectors.md §1.7).
"""

from collections.abc import Iterable, Mapping

from halo_otel.analysis.hit import Group
from halo_otel.analysis.judgement import Judgement
from halo_otel.model.finding import Subject


def exposed(judgements: Iterable[Judgement], subjects: Mapping[str, Subject]) -> dict[str, int]:
    """For each fingerprint, the judged traces in which its subject was at work."""
    counts = dict.fromkeys(subjects, 0)
    parts: dict[Group, list[str]] = {}  # a trace's group -> the fingerprints whose subject it is
    for judgement in judgements:
        shown: set[str] = set()
        for work in judgement.work:
            if work.group not in parts:
                parts[work.group] = [
                    name for name, subject in subjects.items() if _is_about(subject, work.group)
                ]
            shown.update(parts[work.group])
        for name in shown:
            counts[name] += 1
    return counts


def _is_about(subject: Subject, group: Group) -> bool:
    if (subject.service or "", subject.agent or "") != (group.service, group.agent):
        return False
    if subject.tool is not None:
        return (group.operation, group.target) == ("tool", subject.tool)
    if subject.model is not None:
        return (group.operation, group.target) == ("llm", subject.model)
    return True
