"""Model output that a program could not read.

Said by the parser of a framework, by a provider (`MALFORMED_FUNCTION_CALL`), by a tool that got no valid arguments
or found no code to run. A JSON error alone says nothing about a model: it counts where no tool stands above the
failed span, the step before it was a model turn and the span is the framework's own; or where a tool fails on
arguments that are no JSON. A tool whose own upstream returns broken JSON has valid arguments.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

# Words that are only ever said of a model's output: LangChain, LlamaIndex, CrewAI, Pydantic AI, OpenAI Agents,
# instructor, smolagents, AutoGen, InterCode, Groq, Gemini.
_OF_OUTPUT: Final = (
    r"(?i)output_?pars(er|ing)_?(exception|error|failure)|could not parse (the )?(llm|model|tool|function|output|response)"
    r"|(failed|unable) to parse (the )?(llm|model|assistant|function|tool|structured|output|completion|json output)"
    r"|invalid json (when parsing|in (the )?(model|llm|output|response|tool call|function|arguments))"
    r"|(model|llm) (did not|didn.t) return (a )?(valid|json)|invalid or incomplete response"
    r"|retries .{0,20}for (result|output) validation|structured[ _]output.{0,40}(fail|invalid|error|retr)"
    r"|malformed_function_call|tool_use_failed|failed to (call a function|generate json)|json_validate_failed"
    r"|error in code parsing|agentparsingerror|your code snippet is invalid"
    r"|no \w{0,20} ?code was found in your|did not contain \w{0,20} ?code"
    r"|(arguments|tool input|function call).{0,40}(not|isn.t|in)[ -]?valid json|could not parse tool (input|call|arguments)"
)
_JSON: Final = (
    r"(?i)jsondecode|json\.?decoder|expecting (value|property name|',' delimiter|':' delimiter)|unterminated string"
    r"|unexpected (token|end of json)|invalid json|extra data: line|not valid json|syntaxerror.{0,40}json"
)
_PARSER_NAME: Final = r"(?i)pars|validat|structured|json|output|extract|decod"

# `form`: arguments that are no JSON, a parser of the model's output, an executor that finds nothing to run.
_FAILURES: Final = """
with recursive above as (
  select distinct p as s from frame_span where failed and p is not null
  union
  select span.p as s from frame_span span join above using (s) where span.p is not null),
failure as (
  select span.t, span.s, span.service, span.agent, span.kind, span.name, span.tool, span.start_ns, span.end_ns,
         coalesce(span.error_type, '') || ' ' || coalesce(span.error_text, '') as text, failed, finish_reason
  from frame_span span
  where (span.failed and span.s not in (select s from above)) or span.finish_reason ilike 'malformed_function_call'),
read as (
  select *, regexp_matches(text, $output) or coalesce(finish_reason, '') ilike 'malformed_function_call' as sure,
         regexp_matches(text, $json) as json
  from failure),
step as (
  select t, end_ns, s, s as turn_s from frame_turn union all select t, end_ns, s, null from frame_call),
before as (
  select read.*, step.turn_s
  from (select * from read where sure or json) read asof left join step
    on read.t = step.t and read.end_ns > step.end_ns)
select before.t, before.service, before.agent,
       case when call.s is null then 'output'
            when text.arguments[1] in ('{', '[') and not json_valid(text.arguments) then 'arguments'
            else 'code' end as form,
       before.s, span.span_id, span.end_ns, span.resource_id,
       case when before.finish_reason ilike 'malformed_function_call' then before.finish_reason
            else left(before.text, 160) end as says,
       coalesce(call.tokens, turn.tokens, 0) as tokens, coalesce(call.cost, turn.cost, 0.0) as cost,
       coalesce(call.work_ns, 0) as ns,
       coalesce(later.start_ns >= span.end_ns, false) as recovered,
       turn.span_id as turn_span_id, turn.end_ns as turn_end_ns, turn.resource_id as turn_resource
from before join frame_span span using (s)
left join frame_call call using (s)
left join frame_text text on text.s = before.s
left join frame_span turn on turn.s = coalesce(call.turn_s, before.turn_s)
left join (select t, agent, tool, max(start_ns) as start_ns from frame_call where not failed group by all) later
  on later.t = call.t and later.agent = call.agent and later.tool = call.tool
where case
  when call.s is not null
    then (before.json and text.arguments[1] in ('{', '[') and not json_valid(text.arguments)) or before.sure
  when span.tool is not null then false
  when before.sure then true
  else before.turn_s is not null and (before.kind in ('agent', 'chain', 'llm')
       or regexp_matches(before.name, $parser)) end
order by before.t, before.service, before.agent, form, before.s
"""


class _Failure(NamedTuple):
    t: int
    service: str
    agent: str
    form: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    says: str
    tokens: int
    cost: float
    ns: int
    recovered: bool
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None


def malformed_output(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and kind of output that could not be read."""
    patterns = {"output": _OF_OUTPUT, "json": _JSON, "parser": _PARSER_NAME}
    rows = map(_Failure._make, frame.con.execute(_FAILURES, patterns).fetchall())
    return [_hit(list(same)) for _, same in groupby(rows, key=lambda row: row[:4])]


def _hit(failures: list[_Failure]) -> Hit:
    first, last = failures[0], failures[-1]
    spots = [
        spot(
            first,
            Role.SYMPTOM if first.turn_span_id else Role.CAUSE,
            first.says or "could not be read",
        )
    ]
    if first.turn_span_id is not None:
        spots.insert(
            0,
            spot_at(
                first.turn_span_id,
                first.turn_end_ns,
                first.turn_resource,
                Role.CAUSE,
                "the model turn whose output could not be read",
            ),
        )
    return Hit(
        detector="malformed_output",
        category="malformed_output",
        subject=Subject(service=first.service, agent=first.agent),
        exposure=Group(first.service, first.agent, EVERYTHING),
        scope=(first.form,),
        trace=first.t,
        spots=tuple(spots),
        calls=frozenset(failure.s for failure in failures),
        grade=Grade.EXPLICIT,
        waste=Waste(
            calls=len(failures),
            tokens=sum(failure.tokens for failure in failures),
            cost=sum(failure.cost for failure in failures),
            ns=sum(failure.ns for failure in failures),
        ),
        strength=len(failures),
        recovered=last.recovered,
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    agent = wording.quoted(hit.subject.agent)
    what, cure = _WORDS[assessment.pattern.scope[0]]
    note = wording.quoted(next(spot.note for spot in reversed(hit.spots)))
    return wording.Sentences(
        title=f"Agent {agent}: {what}",
        summary=f"{wording.rate(assessment)}, e.g. {note}.{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the model turn right before the program that could not read it",
        recommendation=cure,
    )


_WORDS: Final = {
    "output": (
        "the model's output cannot be parsed",
        "Ask the model for structured output by schema (strict mode) instead of parsing text, and hand the parser's"
        " message back to it once when it fails.",
    ),
    "arguments": (
        "the model writes tool arguments that are no JSON",
        "Switch on strict tool calls, keep long texts and code out of JSON arguments, and hand the parser's message"
        " back to the model.",
    ),
    "code": (
        "the model's answer has not the form that is executed",
        "Show the expected form in the instructions with an example, or offer execution as a tool call instead of"
        " reading code out of text.",
    ),
}

MALFORMED_OUTPUT: Final = Detector(
    name="malformed_output",
    category="malformed_output",
    find=malformed_output,
    tell=_tell,
    prior=0.95,
    nature=Nature.FAULT,
    own_doing=True,
    isolated=Isolated.ANY,
    fails=True,
)
