"""The map side of an analysis: what is known about each trace of a shard, trace by trace."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from halo_otel.analysis.detectors import DETECTORS
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.hit import Group, Hit
from halo_otel.analysis.profile import Profile
from halo_otel.model.span import TraceId

# Claims about the same spans: the first of these keeps them.
_PRECEDENCE: Final = tuple(detector.name for detector in DETECTORS if detector.claims_calls)


class Work(NamedTuple):
    """What a trace did in one group."""

    group: Group
    calls: int
    ns: int
    repeats: int  # calls that ask and are answered like an earlier one


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One trace, judged. `failed` is None where only weak evidence speaks."""

    trace_id: TraceId
    last_arrival_ns: int
    start_ns: int
    end_ns: int
    service: str
    agent: str
    session: str | None
    failed: bool | None
    spans: int
    tokens: int
    cost: float
    calls: int
    calls_captured: int  # calls whose arguments and answer are known
    turns: int
    turns_captured: int  # model turns of whose words anything is known
    gaps: Mapping[
        str, int
    ]  # calls that are not captured, by why: absent, redacted, truncated, empty
    work: tuple[Work, ...]
    hits: tuple[Hit, ...]


# The root is the earliest span without a parent. The final step is the last model turn or call to
# end. Failed: the root says so, or the final step's own status does. Succeeded: the root says so, or
# it ended without an error, nothing is left unrecovered and the model gave its final answer.
# A failure only read from a result's text is weak evidence, so the outcome stays unknown.
_FACTS: Final = """
with root as (
  select t, arg_min(service, (p is not null, s)) as service,
         arg_min(agent, (p is not null, s)) as agent,
         arg_min(status_code, (p is not null, s)) as status_code,
         arg_min(failed, (p is not null, s)) as failed,
         bool_or(p is null) as arrived,
         min(start_ns) as start_ns, max(end_ns) as end_ns, min(session) as session,
         count(*) as spans,
         coalesce(sum(tokens), 0) as tokens, coalesce(sum(cost), 0.0) as cost
  from frame_span group by t),
step as (
  select t, end_ns, s, failed and error_source <> 'tool_result' as surely, failed, null as finish
  from frame_call
  union all
  select turn.t, turn.end_ns, turn.s, turn.failed as surely, turn.failed, span.finish_reason as finish
  from frame_turn turn join frame_span span using (s)),
final as (
  select t, arg_max(surely, (end_ns, s)) as surely, arg_max(failed, (end_ns, s)) as failed,
         arg_max(coalesce(finish, ''), (end_ns, s)) as finish
  from step group by t),
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
       case when root.failed or coalesce(final.surely, false) then true
            when root.status_code = 1 then false
            when coalesce(final.failed, false) then null
            when final.finish in ('stop', 'end_turn', 'STOP', 'completed') then false end as failed,
       root.spans, root.tokens, root.cost,
       coalesce(captured.calls, 0), coalesce(captured.calls_captured, 0),
       coalesce(spoken.turns, 0), coalesce(spoken.turns_captured, 0), captured.gaps
from root join frame_trace trace using (t) left join final using (t) left join captured using (t) left join spoken using (t)
order by root.t
"""
_WORK: Final = """
select t, service, agent, operation, target, count(*) as calls,
       least(sum(ns), 9e18)::bigint as ns,
       count(same) - count(distinct same) as repeats
from (
  select t, service, agent, 'tool' as operation, tool as target, work_ns as ns,
         case when sig is not null and obs is not null then hash(sig, obs) end as same
  from frame_call
  union all
  select t, service, agent, 'llm' as operation, coalesce(model, '') as target,
         end_ns - start_ns as ns, null as same
  from frame_turn
  union all
  select t, service, agent, kind as operation, '' as target, end_ns - start_ns as ns, null as same
  from frame_span where kind not in ('tool', 'retriever', 'llm'))
group by all order by all
"""


def judge(frame: Frame, profile: Profile) -> list[Judgement]:
    """Every trace of the frame, in the order of the trace ids."""
    hits: dict[int, list[Hit]] = defaultdict(list)
    for detector in DETECTORS:
        for hit in detector.find(frame, profile):
            hits[hit.trace].append(hit)
    work: dict[int, list[Work]] = defaultdict(list)
    groups: dict[Group, Group] = {}  # one object per group keeps a judgement small
    for t, service, agent, operation, target, *amounts in frame.con.execute(_WORK).fetchall():
        group = Group(service, agent, operation, target)
        work[t].append(Work(groups.setdefault(group, group), *amounts))
    return [
        Judgement(
            trace_id=TraceId(row[1]),
            last_arrival_ns=row[2],
            start_ns=row[3],
            end_ns=row[4],
            service=row[5],
            agent=row[6],
            session=row[7],
            failed=row[8],
            spans=row[9],
            tokens=row[10],
            cost=row[11],
            calls=row[12],
            calls_captured=row[13],
            turns=row[14],
            turns_captured=row[15],
            gaps=row[16] or {},
            work=tuple(work.get(row[0], ())),
            hits=tuple(fold(hits.get(row[0], ()))),
        )
        for row in frame.con.execute(_FACTS).fetchall()
    ]


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


def _rank(hit: Hit) -> tuple[int, str, int]:
    known = hit.detector in _PRECEDENCE
    return (
        _PRECEDENCE.index(hit.detector) if known else len(_PRECEDENCE),
        hit.detector,
        min(hit.calls),
    )
