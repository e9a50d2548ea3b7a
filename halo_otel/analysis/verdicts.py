"""Local verdicts on the nodes of a goal tree, merged upwards.

correctness  a span that says it failed is bad; recovered when the same operation succeeds later in the
             same sub-goal. A step is bad if one of its operations is; a goal is bad if its own span
             failed or its last unrecovered part is bad with nothing good after it.
latency      suspect when the span is an outlier of its peers: robust z > 3.5 on log-durations
             (Iglewicz & Hoaglin 1993), at least twice their median and 100 ms more; unknown with fewer
             than 30 peers.
resources    suspect when an operation repeats an earlier one with the same arguments and answer.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from halo_otel.clock import NS_PER_MS
from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import Level, Verdict

_PEERS_MIN: Final = 30
_ROBUST_Z_MIN: Final = 3.5
_SPREAD_MIN: Final = 0.05  # 5 %: peers that always take the same time are not judged over jitter
_RATIO_MIN: Final = 2.0
_EXCESS_NS_MIN: Final = 100 * NS_PER_MS


class TreeSpan(NamedTuple):
    """What a goal tree needs of a span; texts may be cut."""

    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    agent: str | None
    session: str | None
    target: str | None  # tool or model
    tokens: int | None
    failed: bool
    arguments: str | None
    result: str | None
    task: str | None  # what an agent or chain was asked


class Draft(NamedTuple):
    """A node before it is judged; parents come before their children. `span` is None if made up."""

    level: Level
    parent: int
    name: str
    agent: str | None
    span: TreeSpan | None


class Baseline(NamedTuple):
    """How long the peers of an operation take: count, median and MAD of ln(duration in ns)."""

    peers: int
    median: float
    mad: float


@dataclass(slots=True, kw_only=True)
class Judged:
    """What the children of a node add up to, with the node's own share."""

    start_ns: int
    end_ns: int
    tokens: int | None
    correctness: Verdict
    latency: Verdict
    resources: Verdict


def judge(drafts: Sequence[Draft], baselines: Mapping[tuple[str, str], Baseline]) -> list[Judged]:
    """One judgement per draft."""
    children: list[list[int]] = [[] for _ in drafts]
    for index, draft in enumerate(drafts):
        if draft.parent >= 0:
            children[draft.parent].append(index)
    recovered = _recovered(drafts)
    repeated = _repeated(drafts)
    judged: list[Judged] = [_nothing() for _ in drafts]
    for index in range(len(drafts) - 1, -1, -1):
        own = drafts[index]
        parts = [judged[child] for child in children[index]]
        judged[index] = Judged(
            start_ns=min(_known(own.span and own.span.start_ns, (p.start_ns for p in parts))),
            end_ns=max(_known(own.span and own.span.end_ns, (p.end_ns for p in parts))),
            tokens=_sum(own.span.tokens if own.span else None, (p.tokens for p in parts)),
            correctness=_correctness(own, parts, made_good=index in recovered),
            latency=_worst([_latency(own.span, baselines), *(p.latency for p in parts)]),
            resources=_worst([_resources(own.span, repeated), *(p.resources for p in parts)]),
        )
    _span_empty(drafts, judged)
    return judged


def _correctness(own: Draft, parts: Sequence[Judged], *, made_good: bool) -> Verdict:
    found = [part.correctness for part in parts]
    if own.span is not None and own.span.failed:
        return Verdict.RECOVERED if made_good else Verdict.BAD
    faults = [place for place, verdict in enumerate(found) if verdict is Verdict.BAD]
    if not faults:
        return Verdict.RECOVERED if Verdict.RECOVERED in found else Verdict.OK
    if own.level >= Level.OPERATION:
        return Verdict.RECOVERED  # the operation handled what failed inside it
    if own.level is Level.STEP:
        return Verdict.BAD
    after = found[faults[-1] + 1 :]
    return Verdict.RECOVERED if after else Verdict.BAD


def _recovered(drafts: Sequence[Draft]) -> set[int]:
    """Failed operations that succeed later in the same sub-goal."""
    goals: list[int] = []
    for index, draft in enumerate(drafts):
        inside = draft.parent >= 0 and draft.level is not Level.SUBGOAL
        goals.append(goals[draft.parent] if inside else index)
    succeeded: set[tuple[int, str, str]] = set()
    recovered: set[int] = set()
    for index in range(len(drafts) - 1, -1, -1):
        span = drafts[index].span
        if span is None or drafts[index].level <= Level.SUBGOAL:
            continue
        key = (goals[index], span.kind, span.target or span.name)
        if not span.failed:
            succeeded.add(key)
        elif key in succeeded:
            recovered.add(index)
    return recovered


def _repeated(drafts: Sequence[Draft]) -> set[str]:
    """Spans of operations that were asked and answered like an earlier one."""
    seen: set[tuple[str | None, str, str]] = set()
    repeated: set[str] = set()
    spans = [draft.span for draft in drafts if draft.span is not None]
    for span in sorted(spans, key=lambda span: (span.start_ns, span.span_id)):
        if span.arguments is None or span.result is None:
            continue
        key = (span.target, span.arguments, span.result)
        if key in seen:
            repeated.add(span.span_id)
        seen.add(key)
    return repeated


def _latency(span: TreeSpan | None, baselines: Mapping[tuple[str, str], Baseline]) -> Verdict:
    baseline = baselines.get((span.kind, span.target or "")) if span else None
    if span is None or baseline is None or baseline.peers < _PEERS_MIN:
        return Verdict.UNKNOWN
    duration = max(1, span.end_ns - span.start_ns)
    z = 0.6745 * (math.log(duration) - baseline.median) / max(baseline.mad, _SPREAD_MIN)
    usual = math.exp(baseline.median)
    slow = duration >= _RATIO_MIN * usual and duration - usual >= _EXCESS_NS_MIN
    return Verdict.SUSPECT if z > _ROBUST_Z_MIN and slow else Verdict.OK


def _resources(span: TreeSpan | None, repeated: set[str]) -> Verdict:
    if span is None or span.kind not in (SpanKind.TOOL, SpanKind.RETRIEVER):
        return Verdict.UNKNOWN
    if span.span_id in repeated:
        return Verdict.SUSPECT
    return Verdict.UNKNOWN if span.arguments is None else Verdict.OK


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    found = set(verdicts)
    order = (Verdict.BAD, Verdict.SUSPECT, Verdict.OK)
    return next((verdict for verdict in order if verdict in found), Verdict.UNKNOWN)


def _known(own: int | None, parts: Iterable[int]) -> list[int]:
    """The times that are known; 0 stands for none, see `_span_empty`."""
    return [time for time in (own, *parts) if time] or [0]


def _sum(own: int | None, parts: Iterable[int | None]) -> int | None:
    known = [tokens for tokens in (own, *parts) if tokens is not None]
    return sum(known) if known else None


def _nothing() -> Judged:
    unknown = Verdict.UNKNOWN
    return Judged(
        start_ns=0, end_ns=0, tokens=None, correctness=unknown, latency=unknown, resources=unknown
    )


def _span_empty(drafts: Sequence[Draft], judged: Sequence[Judged]) -> None:
    """Made-up nodes without anything below take the times of their parents."""
    for draft, node in zip(drafts, judged, strict=True):
        if node.end_ns == 0 and draft.parent >= 0:
            node.start_ns, node.end_ns = judged[draft.parent].start_ns, judged[draft.parent].end_ns
