"""Which operation made runs slower: what people wait for in it, before and after.

Only time on the critical path counts (`frame.path`): what runs beside something longer makes no run
slower. detectors.md §2.3 #22: an operation is named that takes at least a fifth of the time of the later
runs and at least 1.2 times what it took before (Hodges & Lehmann 1963), surely so (Mann & Whitney 1947, times
the operations compared). An operation that runs did not have before is compared by its time alone.
"""

from collections.abc import Sequence
from typing import Final

from halo_otel.analysis.causality.inference import mann_whitney, ratio_of_levels
from halo_otel.analysis.change.verdicts import LEVEL
from halo_otel.analysis.claims.hit import Group
from halo_otel.analysis.judgement import Judgement
from halo_otel.clock import NS_PER_S
from halo_otel.model.comparison import Slower

RATIO_MIN: Final = 1.2  # detectors.md §1.7: Hodges–Lehmann ratio >= 1.2
_SHARE_MIN: Final = 0.2  # of the later runs' time, and of what they take longer
_USED_MIN: Final = 10  # runs on either side from which the operation itself can be compared
_OPERATIONS: Final = ("agent", "llm", "tool")


def slower(before: Sequence[Judgement], after: Sequence[Judgement]) -> Slower | None:
    """The operation that most of the additional time of `after` goes to, if one is surely behind it."""
    earlier, later = _waited(before), _waited(after)
    longer = _seconds(after) - _seconds(before)
    found = []
    for group in sorted(later):
        was, is_ = earlier.get(group, [0.0] * len(before)), later[group]
        more = _mean(is_) - _mean(was)
        if (
            longer <= 0
            or more < _SHARE_MIN * longer
            or sum(is_) < _SHARE_MIN * len(after) * _seconds(after)
        ):
            continue
        if len(later) * mann_whitney(is_, was) <= LEVEL and _grew(was, is_):
            found.append((-more, group, _mean(was), _mean(is_)))
    if not found:
        return None
    minus, group, was_s, is_s = min(found)
    of_tool = group.operation == "tool"
    return Slower(
        agent=group.agent,
        tool=group.target if of_tool else None,
        model=(group.target or "unknown") if group.operation == "llm" else None,
        before_s=was_s,
        after_s=is_s,
        share=min(1.0, -minus / longer),
    )


def _waited(judgements: Sequence[Judgement]) -> dict[Group, list[float]]:
    """Seconds of the critical path by operation, one value for each run."""
    waited: dict[Group, list[float]] = {}
    for place, judgement in enumerate(judgements):
        for work in judgement.work:
            if work.group.operation in _OPERATIONS:
                values = waited.setdefault(work.group, [0.0] * len(judgements))
                values[place] += work.path_ns / NS_PER_S
    return waited


def _grew(was: Sequence[float], is_: Sequence[float]) -> bool:
    used_before, used = [s for s in was if s > 0], [s for s in is_ if s > 0]
    if min(len(used_before), len(used)) < _USED_MIN:
        return True
    more_often = len(used) * len(was) >= RATIO_MIN * len(used_before) * len(is_)
    return more_often or ratio_of_levels(used, used_before).value >= RATIO_MIN


def _seconds(judgements: Sequence[Judgement]) -> float:
    return _mean([(one.end_ns - one.start_ns) / NS_PER_S for one in judgements])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))
