"""`map`: one question about every group of a query's rows, asked side by side; the answers are a table.

    map("Did the agent check the date?", "select trace_id, output from spans where …", ["yes", "no"])
        ─▶ one request for each group that differs ─▶ map_3f9a2c10(grp, answer, quote, rows, problem)

The sub-model has no tools and sees one group alone. What it answers is checked for its form and its quote for
standing in the group; what was answered once is not asked again. The table is named after all it holds: it
never changes, and a claim that reads it holds in no window but where the same was answered.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, ValidationError, field_validator

from halo_otel.errors import (
    BadQuery,
    BudgetExhausted,
    ContextTooLong,
    Refused,
    Unreachable,
)
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Call, Message, Question, Text, Tool
from halo_otel.recursion import prompts
from halo_otel.recursion.environment.arguments import Arguments, schema
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.registry import complaints
from halo_otel.recursion.environment.reply import Reply, clipped, failure, page
from halo_otel.recursion.environment.toolbox import EnvironmentTools
from halo_otel.recursion.memory import Memory, key_of
from halo_otel.recursion.talk.groups import (
    CELL_CHARS,
    GROUP_BYTES,
    NUMBER,
    TEXT,
    TEXT_CHARS_MAX,
    Group,
    Groups,
    Said,
    answer_schema,
    complaint,
    groups_of,
    said_of,
)
from halo_otel.window.admission import SQL_CHARS_MAX

SHARE: Final = 0.5  # of what the conversation may still spend: it has to go on afterwards
_ANSWER_TOKENS: Final = 400
_ATTEMPTS: Final = 2  # the second after an answer that is none
_AHEAD: Final = 2  # requests that are made ready while all that may are in flight
_PROBLEM_CHARS, _ANSWERS_SHOWN = 200, 20
_COLUMNS: Final = {
    "grp": "VARCHAR",
    "answer": "VARCHAR",
    "quote": "VARCHAR",
    "rows": "BIGINT",
    "problem": "VARCHAR",
}
_LABELS: Final = "give 2 to 20 different labels, or ['number'], or ['text']"


class Map(Arguments):
    __doc__ = f"""Ask a sub-model one question about every group of the rows of one SELECT, in parallel; its answers become
a table that query, predicates and contrasts can read. For what reading tells and SQL cannot: was an instruction
followed, what did the user want, was a result misread. One request per group: try it on few groups first.
The first column of the SELECT names the group (rows with the same one are one group); the others are all that the
sub-model sees of it, at most {CELL_CHARS} characters of a text and {GROUP_BYTES} bytes of a group.
The reply names the table and its columns: grp (text), answer, quote (words of the group that show it), rows, problem
(why there is no answer; then answer is NULL)."""

    question: str = Field(
        min_length=3, max_length=2_000, description="about one group, whole: nothing else is told"
    )
    sql: str = Field(
        max_length=SQL_CHARS_MAX - 200,
        description="exactly one SELECT of two or more columns, over the tables of query",
    )
    answers: tuple[Annotated[str, StringConstraints(min_length=1, max_length=60)], ...] = Field(
        max_length=20,
        description='2 to 20 labels, e.g. ["yes", "no"]; or ["number"]; or ["text"] for a text of'
        f" at most {TEXT_CHARS_MAX} characters",
    )

    @field_validator("answers")
    @classmethod
    def _are_a_form(cls, answers: tuple[str, ...]) -> tuple[str, ...]:
        if answers not in (NUMBER, TEXT) and (
            len(set(answers)) != len(answers) or len(answers) < 2
        ):
            raise ValueError(_LABELS)
        return answers


TOOL: Final = Tool(name="map", description=Map.__doc__ or "", parameters=schema(Map))


@dataclass(slots=True)
class _Round:
    """One call: the written answers by key of what they are about, and why there are not all."""

    asked: Map
    budget: Budget
    written: dict[str, dict[str, Any] | str] = field(default_factory=dict)  # or why there is none
    ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapTools:
    """The toolbox of one conversation: `environment_tools`, and `map`, paid by children of its `budget`.

    At most `groups_max` groups of one call are asked about, `Budget.parallelism` at a time.
    """

    environment_tools: EnvironmentTools
    environment: Environment
    model: Model
    model_name: str
    budget: Budget
    memory: Memory
    groups_max: int

    @property
    def tools(self) -> Sequence[Tool]:
        return (*self.environment_tools.tools, TOOL)

    async def call(self, call: Call) -> Sequence[Text]:
        """See `Toolbox`. Of `map` raises Rejected and Unwritable; what else hinders an answer is said."""
        if call.tool != TOOL.name:
            return await self.environment_tools.call(call)
        reply = await self.map(call.arguments)
        return (self.environment_tools.wrapped(f"reply.{TOOL.name}", reply.text),)

    async def map(self, arguments: Mapping[str, Any]) -> Reply:
        """The reply to a call with these arguments."""
        try:
            asked = Map.model_validate(dict(arguments))
            budget = self.budget.child(self.budget.left.share(SHARE))
            found = await asyncio.to_thread(groups_of, self.environment, asked.sql, self.groups_max)
        except ValidationError as error:
            return failure(f"arguments of map: {complaints(error)}")
        except BudgetExhausted as error:
            return failure(f"map cannot be asked here: {error}")
        except BadQuery as error:
            return failure(str(error), self.environment.fence)
        told = {self._key(asked, group): group.told for group in found.groups}
        round_ = _Round(asked, budget)
        await self._answer_all(round_, told)
        return await asyncio.to_thread(self._reply, round_, found)

    def _key(self, asked: Map, group: Group) -> str:
        told = group.told.replace(self.environment.fence.boundary, "data")
        return key_of(
            prompts.VERSION, self.model_name, "map", asked.question, list(asked.answers), told
        )

    async def _answer_all(self, round_: _Round, told: Mapping[str, str]) -> None:
        """Ask about each of `told` that memory has no answer to, until all are answered or money ends."""
        for key in told:
            if (known := self.memory.get(key)) is not None:
                round_.written[key] = known
        waiting = iter([(key, text) for key, text in told.items() if key not in round_.written])
        workers = min(len(told) - len(round_.written), round_.budget.parallelism + _AHEAD)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(round_, waiting))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self, round_: _Round, waiting: Iterable[tuple[str, str]]) -> None:
        for key, text in waiting:  # which all workers share
            if round_.ended:
                return
            try:
                ask = partial(self._ask, round_, text)
                round_.written[key] = await self.memory.once(key, ask)
            except _Unanswered as why:
                round_.written[key] = str(why)
            except (BudgetExhausted, Unreachable) as error:
                round_.ended = round_.ended or str(error)

    async def _ask(self, round_: _Round, text: str) -> dict[str, Any]:
        """What the sub-model writes about one group. Raises _Unanswered."""
        asked = round_.asked
        data = self.environment_tools.wrapped("map.rows", text)
        messages: tuple[Message, ...] = (
            Message.system(prompts.SYSTEM_MAP),
            Message.user(prompts.asked_of_group(asked.question)),
            Message.user(data),
        )
        why = ""
        for _ in range(_ATTEMPTS):
            question = Question(
                messages=messages,
                schema=answer_schema(asked.answers),
                max_output_tokens=_ANSWER_TOKENS,
            )
            try:
                answer = await self.model.ask(question, round_.budget)
            except (Refused, ContextTooLong) as error:
                raise _Unanswered(f"{type(error).__name__.lower()}: {error}") from error
            if answer.value is None:
                why = answer.problem or "no JSON object"
            elif not (why := complaint(answer.value, asked.answers)):
                return answer.value
            messages = (*messages, answer.message, Message.user(prompts.not_an_answer(why)))
        raise _Unanswered(f"no valid answer: {why}")

    def _reply(self, round_: _Round, found: Groups) -> Reply:
        """Brings the table, and tells of it."""
        asked, fence = round_.asked, self.environment.fence
        said, quotes_lost = self._said(round_, found.groups)
        rows = [
            [group.name, one.answer, one.quote, group.rows, one.problem or None]
            for group, one in zip(found.groups, said, strict=True)
        ]
        table = f"map_{key_of(asked.question, asked.sql, list(asked.answers), rows)[:8]}"
        columns = {**_COLUMNS, "answer": "DOUBLE"} if asked.answers == NUMBER else _COLUMNS
        if rows:
            try:
                self.environment.database.bring(table, columns, list(zip(*rows, strict=True)))
            except BadQuery as error:
                return failure(str(error), fence)
        spent = round_.budget.spent
        answers = Counter(str(one.answer) for one in said if one.answer is not None)
        head = {
            "table": f"{table}({', '.join(columns)})" if rows else None,
            "groups": len(rows),
            "answers": dict(answers.most_common(_ANSWERS_SHOWN)),
            "unanswered": dict(
                Counter(one.problem.partition(":")[0] for one in said if one.problem)
            ),
            "not_asked_because": round_.ended or None,
            "groups_left_out": found.left_out or None,
            "rows_not_read": "there are more rows than are read: LIMIT them in each group"
            if found.is_cut
            else None,
            "quotes_not_found": quotes_lost or None,
            "requests": spent.calls,
            "tokens": spent.input_tokens + spent.output_tokens,
            "usd": spent.cost or None,
        }
        items = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        return page(fence, items, head=head, bytes_max=asked.bytes_max, more=f"query {table}")

    def _said(self, round_: _Round, groups: Sequence[Group]) -> tuple[list[Said], int]:
        """What was said about each group, and how many quotes were let go."""
        said, lost = [], 0
        for group in groups:
            written = round_.written.get(self._key(round_.asked, group))
            if written is None:
                one, is_lost = Said(problem=f"not asked: {round_.ended}"), False
            elif isinstance(written, str):
                one, is_lost = Said(problem=clipped(written, _PROBLEM_CHARS) or ""), False
            else:
                one, is_lost = said_of(written, group)
            said.append(one)
            lost += is_lost
        return said, lost


class _Unanswered(Exception):
    """A group has no answer; the text says why."""
