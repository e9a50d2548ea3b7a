"""The map side of an analysis: what is known about each trace of a shard, trace by trace."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from halo_otel.analysis.causality import origins, outcome
from halo_otel.analysis.claims import folding
from halo_otel.analysis.claims.hit import Group, Hit
from halo_otel.analysis.detectors import DETECTORS
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.judgement import Asked, Judgement, Work
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.span import TraceId

# Claims about the same spans: the first of these keeps them.
_PRECEDENCE: Final = tuple(detector.name for detector in DETECTORS if detector.claims_calls)

# The root is the earliest span without a parent.
_FACTS: Final = """
with root as (
  select t, arg_min(service, (p is not null, s)) as service,
         arg_min(agent, (p is not null, s)) as agent,
         min(start_ns) as start_ns, max(end_ns) as end_ns, min(session) as session,
         count(*) as spans,
         coalesce(sum(tokens), 0) as tokens, coalesce(sum(cost), 0.0) as cost
  from frame_span group by t),
captured as (
  select t, count(*) as calls,
         count(*) filter (arguments_known and result_known) as calls_captured,
         histogram(coalesce(unknown, 'absent')) filter (not (arguments_known and result_known)) as gaps
  from frame_call group by t),
spoken as (
  select turn.t, count(*) as turns, count(*) filter (not wordless) as turns_captured
  from frame_turn turn join frame_span using (s) group by turn.t)
select root.t, trace.trace_id, trace.last_arrival_ns, root.start_ns, root.end_ns, root.service,
       root.agent, root.session,
       vote.votes, vote.asked, vote.complains, vote.thanks,
       root.spans, root.tokens, root.cost,
       coalesce(captured.calls, 0), coalesce(captured.calls_captured, 0),
       coalesce(spoken.turns, 0), coalesce(spoken.turns_captured, 0), captured.gaps
from root join frame_trace trace using (t) join frame_vote vote using (t)
left join captured using (t) left join spoken using (t)
order by root.t
"""
_WORK: Final = """
select work.t, service, agent, operation, target, count(*) as calls,
       least(sum(ns), 9e18)::bigint as ns,
       count(same) - count(distinct same) as repeats, sum(case when whole then through_ns else on_path_ns end)::bigint as path_ns
from (
  select t, s, service, agent, 'tool' as operation, tool as target, work_ns as ns,
         case when sig is not null and obs is not null then hash(sig, obs) end as same,
         not delegates as whole
  from frame_call
  union all
  select t, s, service, agent, 'llm' as operation, coalesce(model, '') as target,
         end_ns - start_ns as ns, null as same, true as whole
  from frame_turn
  union all
  select t, s, service, agent, kind as operation, '' as target, end_ns - start_ns as ns, null as same,
         false as whole
  from frame_span where kind not in ('tool', 'retriever', 'llm')) work
join frame_path using (s)
group by all order by all
"""
_WAITED_FOR: Final = """
select s, through_ns, end_ns - start_ns from frame_path join frame_span using (s)
where s in (select unnest($spans::integer[]))
"""


class _Facts(NamedTuple):
    t: int
    trace_id: str
    last_arrival_ns: int
    start_ns: int
    end_ns: int
    service: str
    agent: str
    session: str | None
    votes: list[str]
    asked: str | None
    complains: bool | None
    thanks: bool | None
    spans: int
    tokens: int
    cost: float
    calls: int
    calls_captured: int
    turns: int
    turns_captured: int
    gaps: dict[str, int] | None


def judge(frame: Frame, profile: Profile) -> list[Judgement]:
    """Every trace of the frame, in the order of the trace ids."""
    begun = origins.origins(frame)
    hits: dict[int, list[Hit]] = defaultdict(list)
    for detector in DETECTORS:
        if detector.needs is None or detector.needs in frame.holds:
            for hit in detector.find(frame, profile):
                hits[hit.trace].append(hit)
    kept = on_path(frame, {t: fold(of_trace) for t, of_trace in hits.items()})
    links = folding.links(frame, profile, kept)
    work: dict[int, list[Work]] = defaultdict(list)
    groups: dict[tuple[str, ...], Group] = {}  # one object per group keeps a judgement small
    for t, service, agent, operation, target, *amounts in frame.con.execute(_WORK).fetchall():
        group = groups.get((service, agent, operation, target))
        if group is None:
            group = Group(service, agent, operation, target)
            groups[service, agent, operation, target] = group
        work[t].append(Work(group, *amounts))
    outcomes: dict[tuple[str, ...], outcome.Outcome] = {}
    judgements: list[Judgement] = []
    for row in map(_Facts._make, frame.con.execute(_FACTS).fetchall()):
        votes = tuple(row.votes)
        if votes not in outcomes:
            outcomes[votes] = outcome.of(votes)
        ended = outcomes[votes]
        asked = row.session is not None and row.asked is not None
        judgements.append(
            Judgement(
                trace_id=TraceId(row.trace_id),
                last_arrival_ns=row.last_arrival_ns,
                start_ns=row.start_ns,
                end_ns=row.end_ns,
                origin=begun[row.t],
                service=row.service,
                agent=row.agent,
                session=row.session,
                failed=ended.failed,
                p_failed=ended.p_failed,
                basis=ended.basis,
                votes=votes,
                asked=Asked(row.asked or "", bool(row.complains), bool(row.thanks))
                if asked
                else None,
                spans=row.spans,
                tokens=row.tokens,
                cost=row.cost,
                calls=row.calls,
                calls_captured=row.calls_captured,
                turns=row.turns,
                turns_captured=row.turns_captured,
                gaps=row.gaps or {},
                work=tuple(work.get(row.t, ())),
                hits=tuple(kept.get(row.t, ())),
                links=links.get(row.t, ()),
            )
        )
    return judgements


def fold(hits: Iterable[Hit]) -> list[Hit]:
    """Drop a claim most of whose spans a stronger claim about the same trace explains already."""
    kept: list[Hit] = []
    explained: set[int] = set()
    for hit in sorted(hits, key=_rank):
        if hit.detector not in _PRECEDENCE:
            kept.append(hit)
        elif 2 * len(hit.calls & explained) < len(hit.calls):
            kept.append(hit)
            explained |= hit.calls
    return kept


def on_path(frame: Frame, hits: Mapping[int, Sequence[Hit]]) -> dict[int, list[Hit]]:
    """The hits with the time that somebody waited: extra work behind parallel work costs nobody any.

    A detector's own figure counts by the share of the time of the claim's spans (`Hit.calls`), with what is below
    them, that lies on the critical path (`frame.path`; detectors.md §1.5).
    """
    spans = sorted(
        {s for found in hits.values() for hit in found if hit.waste.ns for s in hit.calls}
    )
    rows = frame.con.execute(_WAITED_FOR, {"spans": spans}).fetchall() if spans else []
    times = {s: (through, whole) for s, through, whole in rows}
    return {t: [_trimmed(hit, times) for hit in found] for t, found in hits.items()}


def _trimmed(hit: Hit, times: Mapping[int, tuple[int, int]]) -> Hit:
    if not hit.waste.ns:
        return hit
    through = sum(times[s][0] for s in hit.calls)
    whole = sum(times[s][1] for s in hit.calls)
    if through == whole:
        return hit
    return replace(hit, waste=replace(hit.waste, ns=hit.waste.ns * through // whole))


def _rank(hit: Hit) -> tuple[int, str, int]:
    known = hit.detector in _PRECEDENCE
    return (
        _PRECEDENCE.index(hit.detector) if known else len(_PRECEDENCE),
        hit.detector,
        min(hit.calls),
    )
