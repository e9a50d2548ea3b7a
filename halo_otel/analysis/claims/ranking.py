"""The order of findings: each next one explains the most harm that those before it do not.

Greedy cover (detectors.md §2.4), so that three names of one fault do not fill the top of the list.
Harm has two kinds that do not stand for each other, failed traces and wasted work, half of the weight
each: an error explains why the runs fail, a retry storm what it cost. Priority is the newly explained
harm over all traces times the confidence. What a finding newly explains only shrinks as others are
taken, so priorities fall along the list.
"""

import heapq
from collections.abc import Sequence
from typing import Final, TypeAlias

from halo_otel.analysis.claims.gate import harm
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.judgement import Judgement

_Harm: TypeAlias = tuple[int, str]  # place of the trace, kind of harm

_OWN_SHARE: Final = 0.01  # what a finding keeps when others explain all it does: it is still true


def rank(
    assessments: Sequence[Assessment], judgements: Sequence[Judgement], *, limit: int
) -> list[tuple[Assessment, float]]:
    """The `limit` most important assessments with their priorities in 0..1, highest first."""
    harms = [_harms(assessment, judgements) for assessment in assessments]
    covered: dict[_Harm, float] = {}
    total = 2 * max(1, len(judgements))

    def priority(place: int) -> float:
        new = sum(max(0.0, h - covered.get(of, 0.0)) for of, h in harms[place].items())
        own = _OWN_SHARE * sum(harms[place].values())
        return assessments[place].confidence * (new + own) / (total * (1 + _OWN_SHARE))

    heap = [
        (-priority(place), assessment.pattern.fingerprint, place)
        for place, assessment in enumerate(assessments)
    ]
    heapq.heapify(heap)
    ranked: list[tuple[Assessment, float]] = []
    while heap and len(ranked) < limit:
        stale, name, place = heapq.heappop(heap)
        now = priority(place)
        if now < -stale and heap and (-now, name, place) > heap[0]:
            heapq.heappush(heap, (-now, name, place))
            continue
        ranked.append((assessments[place], round(now, 6)))
        for of, explained in harms[place].items():
            covered[of] = max(covered.get(of, 0.0), explained)
    return ranked


def _harms(assessment: Assessment, judgements: Sequence[Judgement]) -> dict[_Harm, float]:
    harms: dict[_Harm, float] = {}
    for place, hits in assessment.pattern.hits.items():
        both = [harm(hit, judgements[place], harmful=assessment.harmful) for hit in hits]
        harms[place, "failure"] = max(failure for failure, _ in both)
        harms[place, "waste"] = max(waste for _, waste in both)
    return harms
