"""One huge result of a tool that blows up the next prompt.

detectors.md §1.7: the prompt jumps right after a result, by as many tokens as a result of that size has (four
characters to a token in English, two to eight in practice), to at least three times what it was. A result
that is shortened before the model sees it makes no jump. Where the tool's results are known, it is also at
least five times the usual one: a reader that always gets long pages works as it is meant to, unless each of them makes
the prompt ten times what it was.
"""

from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual import extent
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_CHARS_MIN: Final = 20_000  # about 5,000 tokens
_JUMP_MIN: Final = 5_000
_RATIO_MIN: Final = 3
_CHARS_PER_TOKEN: Final = (2.0, 8.0)
_USUAL_TIMES: Final = 5
_TRACES_MIN: Final = 10
_ALWAYS_RATIO: Final = 10

# The largest result between a turn and the next one of the same run, and what came of it.
_JUMPS: Final = """
with step as (
  select turn.*, next.s as next_s, next.span_id as next_span_id, next.end_ns as next_end_ns,
         next.resource_id as next_resource, next.prompt - turn.prompt as jump, next.prompt as next_prompt
  from frame_speech turn join frame_speech next
    on turn.t = next.t and turn.agent = next.agent and turn.run = next.run and turn.place + 1 = next.place
  where turn.calls > 0 and turn.prompt > 0
    and next.prompt - turn.prompt >= $jump_min and next.prompt >= $ratio_min * turn.prompt)
select step.t, call.service, call.agent, call.tool, call.s, span.span_id, span.end_ns, span.resource_id,
       span.result_chars, step.prompt, step.next_prompt, step.next_span_id, step.next_end_ns, step.next_resource,
       (select coalesce(sum(later.prompt), 0) from frame_speech later where later.t = step.t
        and later.agent = step.agent and later.run = step.run and later.place > step.place)::bigint as given,
       (step.turns - step.place)::bigint as later_turns
from step join frame_call call on call.turn_s = step.s join frame_span span on call.s = span.s
where span.result_chars >= $chars_min and span.result_chars between $dense * step.jump and $sparse * step.jump
qualify row_number() over (partition by step.t, call.service, call.agent, call.tool
                           order by step.jump desc, span.result_chars desc, call.s) = 1
order by step.t, call.service, call.agent, call.tool
"""


class _Jump(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    chars: int
    before: int
    after: int
    next_span_id: str
    next_end_ns: int
    next_resource: int
    given: int
    later_turns: int


def huge_result(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool: its largest jump."""
    dense, sparse = _CHARS_PER_TOKEN
    rows = frame.con.execute(
        _JUMPS,
        {
            "jump_min": _JUMP_MIN,
            "ratio_min": _RATIO_MIN,
            "chars_min": _CHARS_MIN,
            "dense": dense,
            "sparse": sparse,
        },
    ).fetchall()
    return [_hit(jump) for jump in map(_Jump._make, rows) if _is_unusual(jump, profile)]


def _is_unusual(jump: _Jump, profile: Profile) -> bool:
    measure = extent.Measure("result", jump.service, jump.agent, jump.tool)
    usual = extent.median(profile.extents, measure, traces_min=_TRACES_MIN)
    return (
        usual is None
        or jump.chars >= _USUAL_TIMES * usual
        or jump.after >= _ALWAYS_RATIO * jump.before
    )


def _hit(jump: _Jump) -> Hit:
    wasted = max(0, jump.given - jump.before * jump.later_turns)
    return Hit(
        detector="huge_result",
        category="context_growth",
        subject=Subject(service=jump.service, agent=jump.agent, tool=jump.tool),
        exposure=Group(jump.service, jump.agent, "tool", jump.tool),
        scope=("huge result",),
        trace=jump.t,
        spots=(
            spot(jump, Role.CAUSE, f"a result of {jump.chars} characters"),
            spot_at(
                jump.next_span_id,
                jump.next_end_ns,
                jump.next_resource,
                Role.SYMPTOM,
                f"the next prompt: {jump.after} tokens after {jump.before}",
            ),
        ),
        calls=frozenset({jump.s}),
        grade=Grade.EXPLICIT,
        waste=Waste(tokens=wasted),
        strength=jump.after // jump.before,
        slots={"chars": str(jump.chars), "before": str(jump.before), "after": str(jump.after)},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hits = [hit for found in assessment.pattern.hits.values() for hit in found]
    worst = max(hits, key=lambda hit: (hit.strength, hit.slots["chars"]))
    tool = wording.quoted(worst.subject.tool)
    tokens = assessment.impact.tokens_wasted
    return wording.Sentences(
        title=f"One result of tool {tool} blows up the prompts of agent {wording.quoted(worst.subject.agent)}",
        summary=f"{wording.rate(assessment)}: after a result of {worst.slots['chars']} characters the prompt goes from "
        f"{worst.slots['before']} to {worst.slots['after']} tokens. Every later turn pays for it: {tokens} tokens."
        f"{wording.harm(assessment)}",
        why="the call whose result the next prompt grew by",
        recommendation=f"Cap what {tool} returns to the model (a page, a summary, a path to the whole text), and let the agent "
        "ask for more of it by offset or by search.",
    )


HUGE_RESULT: Final = Detector(
    name="huge_result",
    category="context_growth",
    find=huge_result,
    tell=_tell,
    prior=0.96,
    nature=Nature.RISK,
)
