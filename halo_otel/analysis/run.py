"""One analysis: which traces to judge, judging them, and the report over everything in sight."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from halo_otel.analysis import frame
from halo_otel.analysis.guard import Guard
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.judging import judge
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.reduce import reduce
from halo_otel.analysis.usual import profile
from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.errors import NotFound
from halo_otel.model.report import Report, WindowSummary
from halo_otel.model.span import Attributes, TraceId
from halo_otel.window.view import TraceArrival, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run brought: the report over the lookback, and the traces it newly judged.

    `first` are those of them that were never judged in this process; `sightings` are the traces of the
    lookback that show each pattern, reported or not, by fingerprint; `resources` are those behind evidence;
    `ended` counts the traces of the lookback by service, agent and whether they failed.

    `spans_unseen` were left out by `analysis.max_spans`, `spans_late` came after their trace had been
    judged (it was judged again), `unreported` findings by `analysis.max_findings`. `waiting_ns` is the
    latest arrival of a trace that is not settled.
    """

    report: Report
    judged: tuple[Judgement, ...]
    first: tuple[Judgement, ...]
    sightings: Mapping[str, frozenset[TraceId]]
    resources: Mapping[int, Attributes]
    ended: Mapping[tuple[str, str, bool | None], int]
    spans_unseen: int
    spans_late: int
    waiting_ns: int | None
    unreported: int


def analyse(
    view: View, *, settings: sections.Analysis, until_ns: int, offline: bool = False
) -> Report:
    """The report over `view` alone; `offline`: all of its traces are complete."""
    return extend(Lookback(), view, settings=settings, until_ns=until_ns, offline=offline).report


def extend(
    lookback: Lookback,
    view: View,
    *,
    settings: sections.Analysis,
    until_ns: int,
    offline: bool = False,
    guard: Guard | None = None,
    spans_max: int | None = None,
) -> Run:
    """Judge what settled in `view` by `until_ns` and is not judged yet, and report on all in sight.

    A trace is settled when nothing arrived for it for `trace_settle`: no span and no log record that
    tells about one, such as an evaluation, which has it judged again. Traces without any agent span
    (operators attach whole pipelines) are counted and not judged. With a `guard` the judging may raise
    `RunEnded`, and `lookback` is then as it was. `spans_max` is `analysis.max_spans` unless it is given.
    """
    arrivals = view.traces_last_arrival()
    told = [trace for trace in arrivals if trace.agent_spans]
    settled_ns = until_ns - round(settings.trace_settle * NS_PER_S)
    settled = [trace for trace in told if offline or trace.last_arrival_ns <= settled_ns]
    waiting = [] if offline else [t.last_arrival_ns for t in told if t.last_arrival_ns > settled_ns]
    due = [
        trace for trace in settled if lookback.judged_at(trace.trace_id) != trace.last_arrival_ns
    ]
    seen, unseen = newest(due, spans_max or settings.max_spans)
    judged: list[Judgement] = []
    known = {trace.trace_id for trace in seen if lookback.judged_at(trace.trace_id) is not None}
    if seen:
        traces = [trace.trace_id for trace in seen]
        spans = sum(trace.spans for trace in seen)
        with nullcontext() if guard is None else guard.watching(view.con, spans):
            view.join_logs(traces)
            shard = frame.build(view.con, traces)
            learned = profile.learn(shard)
            judged = judge(shard, profile.merge([lookback.profile(), learned]))
        frame.drop(view.con)
        late = lookback.add(judged, learned)
    else:
        late = 0
    if not offline:
        lookback.expire(until_ns - round(settings.lookback * NS_PER_S))
    judgements = lookback.judgements()
    resources = resources_of(view, judgements)
    reduced = reduce(judgements, settings=settings, resources=resources)
    summary = summed_up(view, arrivals, judgements, until_ns, late)
    return Run(
        report=Report(window=summary, coverage=reduced.coverage, findings=reduced.findings),
        judged=tuple(judged),
        first=tuple(judgement for judgement in judged if judgement.trace_id not in known),
        sightings=reduced.sightings,
        resources=resources,
        ended=reduced.ended,
        spans_unseen=unseen,
        spans_late=late,
        waiting_ns=max(waiting, default=None),
        unreported=reduced.unreported,
    )


def newest(traces: Iterable[TraceArrival], spans_max: int) -> tuple[list[TraceArrival], int]:
    """The newest traces that fit into `spans_max`, and how many spans the others have."""
    kept: list[TraceArrival] = []
    left, unseen = spans_max, 0
    for trace in sorted(traces, key=lambda t: (-t.last_arrival_ns, t.trace_id)):
        if trace.spans <= left:
            left -= trace.spans
            kept.append(trace)
        else:
            left, unseen = 0, unseen + trace.spans  # nothing older slips in behind a gap
    return kept, unseen


def resources_of(view: View, judgements: Sequence[Judgement]) -> Mapping[int, Attributes]:
    """The resources behind all evidence; those of expired windows are unknown."""
    ids = {
        spot.resource_id for judgement in judgements for hit in judgement.hits for spot in hit.spots
    }
    ids.update(judgement.origin.resource_id for judgement in judgements)
    known: dict[int, Attributes] = {}
    for resource_id in sorted(ids):
        try:
            known[resource_id] = view.resource_of(resource_id).attributes
        except NotFound:
            continue
    return known


def summed_up(
    view: View,
    arrivals: Sequence[TraceArrival],
    judgements: Sequence[Judgement],
    until_ns: int,
    late: int,
) -> WindowSummary:
    """What was looked at: everything that arrived, agents' traces or not."""
    starts = [window.start_ns for window in view.windows]
    ends = [window.end_ns for window in view.windows]
    return WindowSummary(
        start_ns=min(starts, default=until_ns),
        end_ns=max(ends, default=until_ns),
        traces=len(arrivals) + sum(window.let_go.traces for window in view.windows),
        spans=sum(trace.spans for trace in arrivals)
        + sum(window.let_go.spans for window in view.windows),
        services=tuple(sorted({j.service for j in judgements if j.service})),
        settled=len(judgements),
        late=late,
    )
