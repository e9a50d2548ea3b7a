"""Under which circumstances comparable calls are made, and how long they take under each: mergeable counts.

Only what was settled before a call began is looked at: where it ran and was sent, how large its input was,
short arguments, when it was, whether it was the first of its kind in the run. The unit of evidence is the
trace (detectors.md §0.2): of a group its slowest call is looked at, and as a contrast one chosen by the hash
of its id, so that a trace is at most one slow and one usual call.

An attribute with more than `VALUES_MAX` values, or with one that is long or like an id, says nothing but that
it was given. That is decided anew when counts are merged, so any cut into shards gives the same counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from halo_otel.analysis.claims.hit import Group
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.histogram import BUCKET_WIDTH

VALUES_MAX: Final = 40
GIVEN: Final = ""  # the value that stands for any
EVERY_CALL: Final = "call"  # the attribute that every call has, as `GIVEN`
ARGUMENT: Final = (
    "argument "  # begins the names of attributes that are arguments; `GIVEN` if they are known
)
TIME: Final = "time"  # in slots of `SLOT_NS` since 1970
SLOT_NS: Final = 600_000_000_000
INPUT_SIZE: Final = "input size"  # in powers of four of tokens or characters: at least so many

Traits: TypeAlias = "Mapping[str, Mapping[str, Calls]]"  # attribute -> value -> calls


class Calls(NamedTuple):
    """Durations in buckets (`histogram`): of the slowest calls of each trace, and of those chosen by hash."""

    slowest: Counter[int]
    chosen: Counter[int]


class Streamed(NamedTuple):
    """Sums over model calls whose first token's time and length of answer are known."""

    calls: int = 0
    wait_ns: int = 0  # until the first token
    write_ns: int = 0  # from there to the end
    tokens: int = 0

    def plus(self, other: "Streamed") -> "Streamed":
        return Streamed(*map(sum, zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Of one group of calls; `streams` by duration bucket."""

    traits: Traits
    streams: Mapping[int, Streamed]


_CALLS: Final = """
create or replace temp table circumstance_call as
with operation as (
  select t, s, service, agent, 'tool' as operation, tool as target
  from frame_call where not delegates
  union all
  select t, s, service, agent, 'llm', coalesce(model, '') from frame_turn),
chosen as (
  select operation.t, operation.service, operation.agent, operation, target, count(*) as n, min(s) as first_s,
         arg_max(s, (end_ns - start_ns, s)) as slowest_s, arg_min(s, hash(span_id)) as chosen_s
  from operation join frame_span span using (s) group by all),
taken as (select *, unnest(list_distinct([slowest_s, chosen_s])) as s from chosen)
select s, (s = slowest_s)::integer as as_slowest, (s = chosen_s)::integer as as_chosen,
       s = first_s as first, n, start_ns, resource_id, input_tokens,
       dense_rank() over (order by taken.service, taken.agent, operation, target) as g,
       taken.service, taken.agent, operation, target,
       floor(ln(greatest(end_ns - start_ns, 1)) / $width)::integer as bucket, end_ns - start_ns as ns
from taken join frame_span span using (s)
"""
_TRAITS: Final = """
with place as (
  select resource_id, attributes ->> '$."host.name"' as host, attributes ->> '$."k8s.node.name"' as node,
         coalesce(attributes ->> '$."service.instance.id"', attributes ->> '$."k8s.pod.name"') as instance,
         coalesce(attributes ->> '$."cloud.region"', attributes ->> '$."cloud.availability_zone"') as region
  from resources where resource_id in (select resource_id from circumstance_call)),
near as (
  select s, s as of_s from circumstance_call
  union all
  select span.s, call.s from frame_span span join circumstance_call call on span.p = call.s),
sent as (
  select near.of_s as s, min(w.attributes ->> '$."server.address"') as server,
         any_value(w.service_version) filter (near.s = near.of_s) as version,
         any_value(w.deployment) filter (near.s = near.of_s) as deployment
  from spans w join frame_trace trace using (trace_id)
  join frame_span span on span.t = trace.t and span.span_id = w.span_id join near on near.s = span.s
  where w.service_version is not null or w.deployment is not null or contains(w.attributes, '"server.address"')
  group by near.of_s),
alike as (
  select g, bucket, sum(as_slowest) as as_slowest, sum(as_chosen) as as_chosen, resource_id, server, version, deployment,
         case when n > 1 then first end as first, start_ns // $slot_ns as slot, start_ns // 3_600_000_000_000 as hours,
         floor(log2(nullif(coalesce(input_tokens, arguments_chars), 0)) / 2)::integer as size, arguments_known
  from circumstance_call left join sent using (s) left join (
    select s, arguments_chars, arguments is not null as arguments_known from frame_text) using (s)
  group by all),
told as (
  select g, bucket, as_slowest, as_chosen, unnest([
    {'name': 'server.address', 'value': server},
    {'name': 'host', 'value': host}, {'name': 'node', 'value': node},
    {'name': 'instance', 'value': instance}, {'name': 'region', 'value': region},
    {'name': 'version', 'value': version}, {'name': 'deployment', 'value': deployment},
    {'name': $input_size, 'value': (4 ** size)::bigint::varchar},
    {'name': 'first', 'value': first::varchar},
    {'name': $time, 'value': slot::varchar}, {'name': 'hour', 'value': (hours % 24)::varchar},
    {'name': $every_call, 'value': ''},
    {'name': $argument, 'value': case when arguments_known then '' end}]) as trait
  from alike left join place using (resource_id)),
known as (
  select g, bucket, as_slowest, as_chosen, trait.name as name, left(trait.value, 100) as value from told where trait.value is not null
  union all
  select call.g, call.bucket, as_slowest, as_chosen, $argument || left(argument.name, 60),
         case when length(value) <= 30 and not is_id and not contains(value, '@') then value else '' end
  from frame_argument argument join circumstance_call call using (s)),
counted as (select g, name, value, bucket, sum(as_slowest) as slowest, sum(as_chosen) as chosen from known group by all)
select g, name, case when many then '' else value end as value, bucket, sum(slowest)::bigint, sum(chosen)::bigint
from counted join (
  select g, name, count(distinct value) > $values_max or bool_or(value = '') as many from counted group by all) using (g, name)
group by all
"""
_STREAMS: Final = """
select call.g, call.bucket, count(*), sum(wait_ns)::bigint, sum(ns - wait_ns)::bigint,
       sum(output_tokens)::bigint
from (select *, (first_token_ms * 1e6)::bigint as wait_ns
      from (select span.s, first_token_ms, w.output_tokens
            from spans w join frame_trace trace using (trace_id)
            join frame_span span on span.t = trace.t and span.span_id = w.span_id
            where w.first_token_ms between 0 and 1e9 and w.output_tokens > 0)) told
join circumstance_call call using (s) where wait_ns <= ns
group by all
"""


def learn(frame: Frame) -> dict[Group, Circumstances]:
    """The circumstances of the frame's calls."""
    con = frame.con
    con.execute(_CALLS, {"width": BUCKET_WIDTH})
    groups = {
        g: Group(*names)
        for g, *names in con.execute(
            "select distinct g, service, agent, operation, target from circumstance_call"
        ).fetchall()
    }
    traits: dict[int, dict[str, dict[str, Calls]]] = {g: {} for g in groups}
    names = {
        "every_call": EVERY_CALL,
        "argument": ARGUMENT,
        "time": TIME,
        "input_size": INPUT_SIZE,
        "slot_ns": SLOT_NS,
        "values_max": VALUES_MAX,
    }
    for g, name, value, bucket, slowest, chosen in con.execute(_TRAITS, names).fetchall():
        values = traits[g].setdefault(name, {})
        if value not in values:
            values[value] = no_calls()
        values[value].slowest[bucket] = slowest
        values[value].chosen[bucket] = chosen
    streams: dict[int, dict[int, Streamed]] = {g: {} for g in groups}
    for g, bucket, *sums in con.execute(_STREAMS).fetchall():
        streams[g][bucket] = Streamed(*sums)
    con.execute("drop table circumstance_call")
    return {
        group: Circumstances(traits=traits[g], streams=streams[g]) for g, group in groups.items()
    }


def merge(parts: Iterable[Mapping[Group, Circumstances]]) -> dict[Group, Circumstances]:
    """The circumstances of all calls together."""
    known: dict[Group, list[Circumstances]] = {}
    for part in parts:
        for group, circumstances in part.items():
            known.setdefault(group, []).append(circumstances)
    return {group: _together(found) if found[1:] else found[0] for group, found in known.items()}


def together(calls: Iterable[Calls]) -> Calls:
    """All of them."""
    total = no_calls()
    for one in calls:
        total.slowest.update(one.slowest)
        total.chosen.update(one.chosen)
    return total


def no_calls() -> Calls:
    """Nothing counted yet."""
    return Calls(Counter(), Counter())


def _together(found: Iterable[Circumstances]) -> Circumstances:
    traits: dict[str, dict[str, list[Calls]]] = {}
    streams: dict[int, Streamed] = {}
    for one in found:
        for name, values in one.traits.items():
            for value, calls in values.items():
                traits.setdefault(name, {}).setdefault(value, []).append(calls)
        for bucket, sums in one.streams.items():
            streams[bucket] = sums.plus(streams.get(bucket, Streamed()))
    return Circumstances(
        traits={name: _bounded(values) for name, values in traits.items()}, streams=streams
    )


def _bounded(values: Mapping[str, Sequence[Calls]]) -> Mapping[str, Calls]:
    if GIVEN not in values and len(values) <= VALUES_MAX:
        return {value: together(calls) for value, calls in values.items()}
    return {GIVEN: together(one for calls in values.values() for one in calls)}
