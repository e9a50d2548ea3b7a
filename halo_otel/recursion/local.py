"""Judges one part of a run for itself: correctness, latency, use of resources, against what was to be expected.

What the model says of a part counts if the words it points to stand in a span of that part, and if the
clock agrees where it says "slow". It never ships as it is: it tells the conversation about the cluster where to
look, and which spans show what is claimed there.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, ValidationError

from halo_otel.clock import NS_PER_S
from halo_otel.errors import BudgetExhausted, ContextTooLong, Refused
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Message, Payload, Question, Schema
from halo_otel.model.goal import GoalNode, Verdict
from halo_otel.recursion import prompts
from halo_otel.recursion.claims.claim import QUOTE_CHARS_MAX, Dropped, Quote, Reason
from halo_otel.recursion.claims.verify import unfounded
from halo_otel.recursion.environment.arguments import SpanId, Strict, schema
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.registry import complaints
from halo_otel.recursion.environment.reply import clipped, page
from halo_otel.recursion.environment.tools.span import TextField
from halo_otel.recursion.memory import Memory, key_of
from halo_otel.recursion.plan import Part

_PART_BYTES: Final = 6_000
_EXPECTED_BYTES: Final = 2_500
_TEXT_CHARS, _EXPECTED_CHARS, _ASKED_CHARS = 500, 160, 1_200
_ANSWER_TOKENS: Final = 400

Said: TypeAlias = Literal["ok", "bad", "unclear"]

_STEPS: Final = """
select step, span_id, kind, coalesce(tool, model, name) as what, round(ms) as ms, failed, error, tokens,
       arguments, result, output, finish_reason
from spans where trace_id = $trace and span_id in (select unnest($spans::varchar[])) order by step
"""
_ASKED: Final = """
select first(input order by step) filter (input is not null) as asked,
       (select text from texts where text_id = first(s.instructions_id order by step)
         filter (s.instructions_id is not null)) as instructions
from spans s where trace_id = $trace
"""


class Words(Strict):
    """Words of a text of a span."""

    span_id: SpanId
    field: TextField | Literal["name"]
    text: str = Field(min_length=1, max_length=QUOTE_CHARS_MAX)


class Judged(Strict):
    """One part, judged. `problem` is empty where all three are ok or unclear; else the quote shows it."""

    goal: str = Field(max_length=120, description="what this part was to achieve, in a few words")
    correctness: Said
    latency: Said
    resources: Said
    problem: str = Field(max_length=400, description="what is wrong, in one sentence; or empty")
    quote: Words | None = Field(description="where it shows, word for word; null if all is well")


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What is wrong with a part, with the words that show it."""

    part: Part
    judged: Judged
    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one look at a part came to."""

    found: Local | None = None
    dropped: Dropped | None = None
    unfinished: str = ""


async def judge(
    part: Part, environment: Environment, model: Model, budget: Budget, memory: Memory
) -> Judgement:
    """The part, judged by the model, or as it was judged when the same texts were seen before."""
    told = await asyncio.to_thread(told_of, part, environment)
    key = key_of(prompts.VERSION, "part", told.replace(environment.fence.boundary, "data"))
    written = memory.get(key)
    if written is None:
        question = Question(
            messages=(
                Message.system(prompts.SYSTEM_LOCAL),
                Message.user(prompts.LOCAL, Payload(field="part", text=told)),
            ),
            schema=Schema(name="part", schema=schema(Judged)),
            max_output_tokens=_ANSWER_TOKENS,
        )
        try:
            answer = await model.ask(question, budget)
        except (BudgetExhausted, ContextTooLong, Refused) as error:
            return Judgement(unfinished=str(error))
        written = answer.value or {}
        await asyncio.to_thread(memory.put, key, written)
    found, dropped = await asyncio.to_thread(_checked, written, part, environment)
    return Judgement(found=found, dropped=dropped)


def told_of(part: Part, environment: Environment) -> str:
    """The part as the model sees it: fenced, masked, within its bytes."""
    asked, instructions = environment.rows(_ASKED, {"trace": part.trace_id})[0]
    head = {
        "part": [_goal(environment, node) for node in part.goals],
        "asked": clipped(asked, _ASKED_CHARS),
        "instructions": clipped(instructions, _ASKED_CHARS),
    }
    steps = _lines(environment, part.trace_id, part.spans, _TEXT_CHARS)
    text = page(
        environment.fence, steps, head=head, bytes_max=_PART_BYTES, more="not shown here"
    ).text
    if part.passing is None or not part.expected:
        return text
    steps = _lines(environment, part.passing, part.expected, _EXPECTED_CHARS)
    expected = page(environment.fence, steps, bytes_max=_EXPECTED_BYTES, more="not shown here").text
    return f"{text}\n{prompts.EXPECTED}{expected}"


def _goal(environment: Environment, node: GoalNode) -> dict[str, Any]:
    return {
        "goal": clipped(environment.shown(node.name), 120),
        "agent": node.agent,
        "seconds": round((node.end_ns - node.start_ns) / NS_PER_S, 2),
        "tokens": node.tokens,
        "latency": node.latency.value,
        "resources": node.resources.value,
    }


def _lines(
    environment: Environment, trace: str, spans: Sequence[str], chars: int
) -> list[dict[str, Any]]:
    rows = environment.database.records(_STEPS, {"trace": trace, "spans": list(spans)})
    texts = ("error", "arguments", "result", "output")
    return [
        {
            **row,
            "failed": row["failed"] or None,
            **{name: clipped(row[name], chars) for name in texts},
        }
        for row in rows
    ]


def _checked(
    written: dict[str, Any], part: Part, environment: Environment
) -> tuple[Local | None, Dropped | None]:
    """What of an answer counts: nothing where all is well, or where it is not so."""
    try:
        judged = Judged.model_validate_json(json.dumps(written))
    except (ValidationError, ValueError) as error:
        why = complaints(error) if isinstance(error, ValidationError) else str(error)[:200]
        return None, Dropped(reason=Reason.MALFORMED, why=why)
    if not _is_wrong(judged, part.goals):
        return None, None
    words = judged.quote
    if words is None:
        return None, Dropped(reason=Reason.SPAN_UNSUPPORTED, why="no quote shows what is wrong")
    quote = Quote(trace_id=part.trace_id, **words.model_dump())
    if quote.span_id not in part.spans:
        return None, Dropped(reason=Reason.SPAN_UNKNOWN, why="the quote is not from this part")
    dropped = unfounded(quote, environment)
    return (None, dropped) if dropped else (Local(part=part, judged=judged, quote=quote), None)


def _is_wrong(judged: Judged, goals: Iterable[GoalNode]) -> bool:
    """Whether anything is bad; slow or wasteful is only what was measured to be."""
    measured = [(node.latency, node.resources) for node in goals]
    slow = any(latency in (Verdict.BAD, Verdict.SUSPECT) for latency, _ in measured)
    wasteful = any(resources in (Verdict.BAD, Verdict.SUSPECT) for _, resources in measured)
    return (
        judged.correctness == "bad"
        or (judged.latency == "bad" and slow)
        or (judged.resources == "bad" and wasteful)
    )


def merged(environment: Environment, found: Iterable[Local]) -> str:
    """What is wrong with the parts of a run, a line each, in the fence: for the look at the whole."""
    items = [
        {
            "part": one.judged.goal,
            "problem": one.judged.problem,
            "correctness": one.judged.correctness,
            "latency": one.judged.latency,
            "resources": one.judged.resources,
            "trace_id": one.quote.trace_id,
            "span_id": one.quote.span_id,
            one.quote.field: one.quote.text,
        }
        for one in found
    ]
    return page(environment.fence, items, bytes_max=4_000, more="not shown").text
