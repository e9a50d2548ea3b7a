"""What was given before a trace began: the attributes that may be named as the cause of how it went.

Only what is settled before the first step counts (detectors.md §1.2): versions, the model first asked,
tool set, prompt, place, tenant, task and size of the input. How many steps it took or which tool failed
are symptoms, however well they correlate.
"""

import sys
from collections.abc import Mapping
from typing import Final

from halo_otel.analysis.frame import Frame
from halo_otel.analysis.judgement import Origin
from halo_otel.model.span import SpanId

VERSIONS: Final = (
    "version",
    "agent version",
    "prompt version",
    "tool set",
)  # a deployment changes them
NAMES: Final = (
    *VERSIONS,
    "model",
    "deployment",
    "region",
    "tenant",
    "segment",
    "host",
    "workflow",
    "task",
    "input size",
    "dialect",
)

_INPUT_CHARS: Final = 120  # of the first input, for the first words

# The root's own value stands for the trace, else that of its earliest span that has one. Sizes are told
# in powers of four, which need no look at other traces, as deciles would.
_ORIGINS: Final = """
with given as (
  select trace.t, w.* replace (w.trace_id as trace_id),
         (w.parent_span_id <> '', w.start_ns, w.span_id) as place
  from (select trace_id, span_id, parent_span_id, start_ns, end_ns, resource_id, service_version,
               agent_version, prompt_version, tool_definitions, deployment, workflow, dialects
        from spans) w join frame_trace trace using (trace_id)),
first as (
  select t, arg_min(span_id, place) as span_id, arg_min(end_ns, place) as end_ns,
         arg_min(resource_id, place) as resource_id,
         arg_min(service_version, place) as service_version,
         arg_min(agent_version, place) as agent_version,
         arg_min(prompt_version, place) as prompt_version,
         arg_min(tool_definitions::varchar, place) as tool_set,
         arg_min(deployment, place) as deployment, arg_min(workflow, place) as workflow,
         arg_min(dialects, place) as dialect
  from given group by t),
place as (
  select resource_id,
         coalesce(attributes ->> '$."cloud.region"', attributes ->> '$."cloud.availability_zone"') as region,
         coalesce(attributes ->> '$."tenant.id"', attributes ->> '$."tenant.name"',
                  attributes ->> '$."customer.id"', attributes ->> '$."tenant"') as tenant,
         coalesce(attributes ->> '$."user.segment"', attributes ->> '$."tenant.tier"',
                  attributes ->> '$."customer.tier"') as segment,
         coalesce(attributes ->> '$."host.name"', attributes ->> '$."k8s.node.name"') as host
  from resources where resource_id in (select resource_id from first)),
turn as (select t, arg_min(model, s) as model from frame_turn group by t),
words as (
  select text.t, text.input, text.input_chars from frame_text text
  join (select t, min(s) as s from frame_text
        where input is not null and kind in ('agent', 'llm', 'chain') group by t) using (s))
select first.t, first.span_id, first.end_ns, first.resource_id, first.service_version,
       first.agent_version, first.prompt_version, left(first.tool_set, 8), turn.model,
       first.deployment, place.region, place.tenant, place.segment, place.host, first.workflow,
       array_to_string(string_split(trim(regexp_replace(
         lower(left(words.input, $chars)), '[^\\pL]+', ' ', 'g')), ' ')[:3], ' '),
       case when words.input_chars > 0
            then (4 ** floor(log2(words.input_chars) / 2))::bigint::varchar end,
       first.dialect
from first left join place using (resource_id) left join turn using (t) left join words using (t)
order by first.t
"""


def origins(frame: Frame) -> Mapping[int, Origin]:
    """The origin of every trace of the frame, by `t`."""
    found: dict[int, Origin] = {}
    for row in frame.con.execute(_ORIGINS, {"chars": _INPUT_CHARS}).fetchall():
        t, span_id, end_ns, resource_id, *values = row
        found[t] = Origin(
            span_id=SpanId(span_id),
            end_ns=end_ns,
            resource_id=resource_id,
            # Values repeat from trace to trace: one string each keeps a judgement small.
            attributes=tuple(
                (name, sys.intern(value))
                for name, value in zip(NAMES, values, strict=True)
                if value
            ),
        )
    return found
