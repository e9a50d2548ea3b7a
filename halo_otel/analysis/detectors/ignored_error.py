"""Ignored errors: a call fails, and the next thing the model says is that it worked.

detectors.md §2.3 #15. Between the failure and the words no call of the same tool works and nothing else is
written, so there is nothing else that the claim could be about. Words are read with a lexicon (`phrases`), so it
needs several traces to be a finding: the answer claims success and admits nothing; or it ends the run with a
statement, neither a question nor an intention, right after a step of which every call failed.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import phrases, wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import FAILURES, Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_STATEMENT_CHARS_MIN: Final = 30
# Not a statement: a question, code, or what is going to be done.
_OPEN: Final = (
    r"(?i)(\?|```|\b(let me|let['’]s|i['’]?ll|i will|i am going|i['’]m going|going to|i need|i should|we need|we should|next,|please|would you|could you"
    r"|thought|try|trying|refus\w+|against|terminate)\b)"
)

# Only the failed calls of the trace are looked at; the words after each are those of the same agent.
_IGNORED: Final = """
with failure as (
  select call.*, turn.run, turn.calls as asked, turn.failed_calls
  from frame_call call left join frame_speech turn on call.turn_s = turn.s where call.failed),
answer as (
  select failure.*, said.s as answer_s, said.span_id as answer_span_id, said.start_ns as answer_start_ns,
         said.end_ns as answer_end_ns, said.resource_id as answer_resource, said.place = said.turns as last
  from failure asof join (select * from frame_speech where calls = 0 and not failed) said
    on failure.t = said.t and failure.agent = said.agent and failure.end_ns <= said.start_ns),
settled as (
  select answer.s, bool_or(not other.failed and (other.tool = answer.tool or other.effect <> 'read')) as made_good,
         count(*) filter (not other.failed) as worked
  from answer join frame_call other on other.t = answer.t and other.start_ns >= answer.start_ns
    and other.start_ns < answer.answer_start_ns and other.s <> answer.s
  group by all),
judged as (
  select answer.*, text.output, coalesce(settled.worked, 0) as worked,
         regexp_matches(text.output, $claim) as claims
  from answer join frame_text text on text.s = answer.answer_s left join settled on settled.s = answer.s
  where not coalesce(settled.made_good, false) and text.output_chars = length(text.output)
    and not regexp_matches(text.output, $admission))
select judged.t, judged.service, judged.agent, judged.tool, judged.s, span.span_id, span.end_ns, span.resource_id,
       left(coalesce(nullif(span.error_text, ''), span.error_type, ''), 160) as error, answer_span_id, answer_end_ns, answer_resource,
       left(judged.output, 160) as said, claims
from judged join frame_span span on span.s = judged.s
where claims and not regexp_matches(judged.output, '(?i)```|\\bterminate\\b')
   or last and worked = 0 and asked = failed_calls and length(judged.output) >= $chars_min
      and not regexp_matches(judged.output, $open)
order by judged.t, judged.service, judged.agent, judged.tool, judged.s
"""


class _Ignored(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    error: str
    answer_span_id: str
    answer_end_ns: int
    answer_resource: int
    said: str
    claims: bool


def ignored_tool_error(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool whose failure the next words do not know of."""
    rows = frame.con.execute(
        _IGNORED,
        {
            "claim": phrases.CLAIM,
            "admission": phrases.ADMISSION,
            "open": _OPEN,
            "chars_min": _STATEMENT_CHARS_MIN,
        },
    ).fetchall()
    return [
        _hit(list(same)) for _, same in groupby(map(_Ignored._make, rows), key=lambda row: row[:4])
    ]


def _hit(ignored: list[_Ignored]) -> Hit:
    first = ignored[0]
    return Hit(
        detector="ignored_tool_error",
        category="ignored_tool_error",
        subject=Subject(service=first.service, agent=first.agent, tool=first.tool),
        exposure=Group(first.service, first.agent, "tool", first.tool),
        trace=first.t,
        spots=(
            spot_at(
                first.answer_span_id,
                first.answer_end_ns,
                first.answer_resource,
                Role.CAUSE,
                f"says {wording.quoted(first.said)}",
            ),
            spot(first, Role.SYMPTOM, f"the call that failed: {first.error or 'no message'}"),
        ),
        calls=frozenset(one.s for one in ignored),
        grade=Grade.INFERRED,
        strength=len(ignored),
        slots={"said": first.said, "error": first.error},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    tool = wording.quoted(hit.subject.tool)
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} answers as if {tool} had worked although it failed",
        summary=f"{wording.rate(assessment)}: after the failure ({wording.quoted(hit.slots['error'])}) the model says for example "
        f"{wording.quoted(hit.slots['said'])}, without a call that works in between.{wording.harm(assessment)}",
        why="the answer that does not know of the failure before it",
        recommendation=f"Return failures of {tool} to the model as errors that say that nothing was done, and have the agent "
        "check the state (read it back) before it tells the user that it worked.",
    )


IGNORED_TOOL_ERROR: Final = Detector(
    name="ignored_tool_error",
    category="ignored_tool_error",
    find=ignored_tool_error,
    needs=FAILURES,
    tell=_tell,
    prior=0.96,  # times .87 for what is read from words
    nature=Nature.FAULT,
    isolated=Isolated.NEVER,
    fails=True,
    needs_payload=True,
)
