"""Local verdicts on the nodes of a goal tree, merged upwards.

correctness  a span that says it failed is bad; recovered when the same operation succeeds later in the
             same sub-goal. A step is bad if one of its operations is; a goal is bad if its own span
             failed or its last unrecovered part is bad and nothing begins after that one ended.
latency      suspect when the span is an outlier of its peers, unknown with too few of them.
resources    suspect when an operation repeats an earlier one with the same arguments and answer.

How the last two are told of a single span says `goals.spans`.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

from halo_otel.analysis.goals.growth import Drafts
from halo_otel.analysis.goals.shape import Shape
from halo_otel.analysis.goals.spans import Spans
from halo_otel.model.goal import Level, Verdict

_WORSENING: Final = (Verdict.UNKNOWN, Verdict.OK, Verdict.SUSPECT)  # merged: the worst is kept
_Amount = TypeVar("_Amount", int, float)
_FAR_NS: Final = 2**80  # beyond any time there is, adjusted ones too


class Judged(NamedTuple):
    """Columns of what nodes add up to, children's shares included."""

    start_ns: list[int]
    end_ns: list[int]
    tokens: list[int | None]
    cost: list[float | None]
    correctness: list[Verdict]
    latency: list[Verdict]
    resources: list[Verdict]
    parallel: list[bool]  # a sub-goal that another one beside it overlaps


def judge(drafts: Drafts, spans: Spans, shape: Shape) -> Judged:
    """The judgement of each draft."""
    start_ns, end_ns = _extents(drafts, shape)
    return Judged(
        start_ns=start_ns,
        end_ns=end_ns,
        tokens=_summed(drafts, shape.tokens),
        cost=_summed(drafts, shape.cost),
        correctness=_correctness(drafts, spans, start_ns, end_ns),
        latency=_worst(drafts, spans.slow),
        resources=_worst(drafts, spans.repeats),
        parallel=_parallel(drafts, start_ns, end_ns),
    )


def _extents(drafts: Drafts, shape: Shape) -> tuple[list[int], list[int]]:
    """When nodes start and end: around everything below. What is empty has its parent's times."""
    start = [shape.start_ns[place] if place >= 0 else _FAR_NS for place in drafts.span]
    end = [shape.end_ns[place] if place >= 0 else -_FAR_NS for place in drafts.span]
    for index in range(len(start) - 1, 0, -1):
        above = drafts.parent[index]
        if start[index] < start[above]:
            start[above] = start[index]
        if end[index] > end[above]:
            end[above] = end[index]
    for index, above in enumerate(drafts.parent):
        if start[index] == _FAR_NS:
            start[index], end[index] = start[above], end[above]
    return start, end


def _summed(drafts: Drafts, counted: Sequence[_Amount | None]) -> list[_Amount | None]:
    total = [counted[place] if place >= 0 else None for place in drafts.span]
    for index in range(len(total) - 1, 0, -1):
        own = total[index]
        if own is not None:
            above = total[drafts.parent[index]]
            total[drafts.parent[index]] = own if above is None else above + own
    return total


def _worst(drafts: Drafts, suspect: Sequence[bool | None]) -> list[Verdict]:
    """Suspect where a node or one below it is, ok where one is known not to be."""
    worst = [
        0 if place < 0 or (known := suspect[place]) is None else 1 + known for place in drafts.span
    ]
    for index in range(len(worst) - 1, 0, -1):
        if worst[index] > worst[drafts.parent[index]]:
            worst[drafts.parent[index]] = worst[index]
    return [_WORSENING[code] for code in worst]


def _correctness(
    drafts: Drafts, spans: Spans, start_ns: Sequence[int], end_ns: Sequence[int]
) -> list[Verdict]:
    failed = [place >= 0 and spans.failed[place] for place in drafts.span]
    if not any(failed):
        return [Verdict.OK] * len(failed)
    made_good = _made_good(drafts, spans, failed)
    verdicts = [Verdict.OK] * len(failed)
    later_ns = [-_FAR_NS] * len(
        failed
    )  # the latest start of a child seen so far, the last one first
    for index in range(len(failed) - 1, -1, -1):
        level, above = drafts.level[index], drafts.parent[index]
        if failed[index]:
            verdicts[index] = Verdict.RECOVERED if index in made_good else Verdict.BAD
        elif verdicts[index] is Verdict.BAD and level >= Level.OPERATION:
            verdicts[index] = Verdict.RECOVERED  # the operation handled what failed inside it
        if above < 0:
            continue
        found = verdicts[index]
        if found is Verdict.BAD and drafts.level[above] != Level.STEP:
            found = Verdict.RECOVERED if later_ns[above] >= end_ns[index] else Verdict.BAD
        if found is Verdict.BAD or (found is Verdict.RECOVERED and verdicts[above] is Verdict.OK):
            verdicts[above] = found
        later_ns[above] = max(later_ns[above], start_ns[index])
    return verdicts


def _made_good(drafts: Drafts, spans: Spans, failed: Sequence[bool]) -> set[int]:
    """Failed operations that succeed later in the same sub-goal."""
    goals: list[int] = []
    for index, (level, above) in enumerate(zip(drafts.level, drafts.parent, strict=True)):
        goals.append(index if level <= Level.SUBGOAL else goals[above])
    faulty = {goals[index] for index, is_failed in enumerate(failed) if is_failed}
    succeeded: set[tuple[int, str, str]] = set()
    recovered: set[int] = set()
    for index in range(len(goals) - 1, -1, -1):
        place, goal = drafts.span[index], goals[index]
        if place < 0 or goal == index or goal not in faulty:
            continue
        key = (goal, spans.kind[place], spans.target[place] or spans.name[place])
        if not failed[index]:
            succeeded.add(key)
        elif key in succeeded:
            recovered.add(index)
    return recovered


def _parallel(drafts: Drafts, start_ns: Sequence[int], end_ns: Sequence[int]) -> list[bool]:
    """Sub-goals that overlap another one beside them, in order of start."""
    parallel = [False] * len(start_ns)
    busy: dict[int, int] = {}  # the sub-goal of a parent that ends last so far
    for index, level in enumerate(drafts.level):
        if level != Level.SUBGOAL:
            continue
        before = busy.setdefault(drafts.parent[index], index)
        if before != index and start_ns[index] < end_ns[before]:
            parallel[before] = parallel[index] = True
        if end_ns[index] > end_ns[before]:
            busy[drafts.parent[index]] = index
    return parallel
