"""The model tier of one window: what is known already is explained, what no rule can see is looked for.

    clusters of the report ─▶ a conversation about each, over a contrast pair ─▶ checked ─▶ told

Which conversations there are is decided by the window, not by the model: one for each of the worst findings,
one for each large group of failed runs that no finding names. So bytes and requests grow with clusters, not
with traces. What goes on as before is not paid for again, as long as what was said of it holds in this window, too.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from halo_otel.errors import BudgetExhausted, ContextTooLong, Refused
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Message, Text
from halo_otel.model.finding import Finding, Severity, Status
from halo_otel.model.report import Report, Usage
from halo_otel.recursion import prompts
from halo_otel.recursion.checking import Accepted, Checked, refuted, report_tool
from halo_otel.recursion.claims import Dropped
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.tools import clusters
from halo_otel.recursion.inquiry import Inquiry, inquire
from halo_otel.recursion.memory import Memory, key_of
from halo_otel.recursion.recalling import kept_of, recalled
from halo_otel.recursion.telling import Explanation, explained, finding_of
from halo_otel.recursion.toolbox import EnvironmentTools
from halo_otel.recursion.worklist import work_off

EXPLAINED_MAX: Final = 8  # detectors.md §1.11: eight clusters a window
UNEXPLAINED_MAX: Final = 3
UNEXPLAINED_TRACES_MIN: Final = 3  # as for any systemic finding (`claims.gate`)
TURNS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A conversation about one cluster; `finding` is None where no finding names it."""

    cluster: str
    finding: Finding | None
    depth: int = 1

    @property
    def key(self) -> str:
        return self.cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one conversation brought."""

    accepted: tuple[Accepted, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    checked: int = 0
    unfinished: str = ""  # why it brought nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Deepened:
    """The report with what the model added, the claims that were dropped, and the clusters it did not get to."""

    report: Report
    dropped: tuple[Dropped, ...]
    answer: tuple[Accepted, ...] = ()  # to the question, if there was one
    clusters: int = 0  # that were looked at
    unfinished: tuple[tuple[str, str], ...] = ()  # cluster, why

    @property
    def reasons(self) -> dict[str, int]:
        """How many claims were dropped for each reason."""
        return dict(sorted(Counter(one.reason.value for one in self.dropped).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What the model tier works with. `turns` are those of one conversation."""

    model: Model
    budget: Budget
    memory: Memory
    environment: Environment
    tools: EnvironmentTools
    model_name: str
    turns: int = TURNS


async def deepen(tier: Tier, question: str | None = None) -> Deepened:
    """The environment's report, deepened; and the `question` of a person answered.

    What the endpoint cannot do leaves the report as it was. Raises Unreachable, Rejected and Unwritable,
    whatever was found until then: the deterministic report stands.
    """
    answer = Told()
    if question is not None:  # somebody waits for it: it comes first
        answer = await converse(tier, [prompts.ANSWER, question], share=0.5, with_category=False)
    tasks = plan(tier.environment)
    done = await work_off(tasks, lambda task: _do(tier, task, len(tasks)), depth_max=1)
    toldof = [("the question", answer), *((task.cluster, told) for task, told in done)]
    dropped = [one for _, told in toldof for one in told.dropped]
    spent = tier.budget.spent
    usage = Usage(
        model_calls=spent.calls,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cost=spent.cost,
        claims_checked=sum(told.checked for _, told in toldof),
        claims_dropped=len(dropped),
    )
    return Deepened(
        report=replace(
            tier.environment.report, findings=_merged(tier.environment, done), usage=usage
        ),
        dropped=tuple(dropped),
        answer=answer.accepted,
        clusters=len(done),
        unfinished=tuple((name, told.unfinished) for name, told in toldof if told.unfinished),
    )


def _merged(environment: Environment, done: Iterable[tuple[Task, Told]]) -> tuple[Finding, ...]:
    """The findings with their explanations, and those that the model added."""
    findings = {one.fingerprint: one for one in environment.report.findings}
    for task, told in done:
        if task.finding is not None:
            findings[task.cluster] = _with(findings[task.cluster], map(explained, told.accepted))
            continue
        for one in told.accepted:
            finding = finding_of(one, task.cluster, environment)
            findings.setdefault(finding.fingerprint, finding)
    return tuple(sorted(findings.values(), key=lambda one: -one.priority))


def plan(environment: Environment) -> list[Task]:
    """The worst findings, then the largest groups of failed runs without one."""
    groups = clusters.named(environment)
    worth = [
        Task(cluster=name, finding=finding)
        for name in groups
        if (finding := environment.findings.get(name)) is not None
        and finding.severity is not Severity.INFO
        and finding.status is not Status.MUTED
    ]
    unexplained = [
        Task(cluster=name, finding=None)
        for name, members in groups.items()
        if name.startswith(clusters.UNEXPLAINED) and len(members) >= UNEXPLAINED_TRACES_MIN
    ]
    return [*worth[:EXPLAINED_MAX], *unexplained[:UNEXPLAINED_MAX]]


async def _do(tier: Tier, task: Task, tasks: int) -> tuple[Told, Sequence[Task]]:
    key = _key(tier.model_name, task)
    if (known := tier.memory.get(key)) is not None:
        still = await asyncio.to_thread(recalled, known, tier.environment)
        if still is not None:
            return Told(accepted=still), ()
    explains = task.finding is not None
    opening = [
        prompts.EXPLAIN if explains else prompts.UNEXPLAINED,
        *[piece async for piece in _package(tier, task)],
    ]
    share = min(1.0, 2 / max(1, tasks))
    told = await converse(tier, opening, share=share, with_category=not explains)
    if not told.unfinished:
        kept = [kept_of(one) for one in told.accepted]
        await asyncio.to_thread(tier.memory.put, key, kept)
    return told, ()


async def converse(
    tier: Tier, opening: Sequence[Text], *, share: float, with_category: bool
) -> Told:
    """One conversation for at most `share` of what is left, and what of its claims may be said."""
    checked = Checked(environment=tier.environment, with_category=with_category)
    inquiry = Inquiry(
        opening=(Message.system(prompts.SYSTEM), Message.user(*opening)),
        report=report_tool(with_category=with_category),
        turns=tier.turns,
        check=checked.check,
    )
    try:
        budget = tier.budget.child(tier.budget.left.share(share))
        outcome = await inquire(tier.model, budget, inquiry, tier.tools)
    except (Refused, ContextTooLong, BudgetExhausted) as error:
        return Told(unfinished=str(error))
    accepted, dropped = await refuted(checked, tier.model, tier.budget, tier.tools)
    return Told(
        accepted=tuple(accepted),
        dropped=tuple(dropped),
        checked=checked.count,
        unfinished="" if outcome.report is not None else outcome.why,
    )


async def _package(tier: Tier, task: Task) -> AsyncIterator[Text]:
    """What is known before the model looks: the finding or group, its pair of runs, where they part."""
    members = clusters.named(tier.environment)[task.cluster]
    failing, passing, _ = await asyncio.to_thread(clusters.pair, tier.environment, members)
    looks: list[tuple[str, dict[str, object]]] = []
    if task.finding is not None:
        looks.append(("findings", {"fingerprint": task.cluster}))
    looks.append(("clusters", {"cluster": task.cluster}))
    if failing is not None:
        looks.append(("trace", {"trace_id": failing}))
        if passing is not None:
            looks.append(("compare", {"failing": failing, "passing": passing}))
    for name, arguments in looks:
        yield f"\n\n{name}({json.dumps(arguments)}):\n"
        for piece in await tier.tools.look(name, arguments):
            yield piece


def _key(model_name: str, task: Task) -> str:
    """What is asked, of which model: anew when a finding gets worse or comes back."""
    finding = task.finding
    standing = ""
    if finding is not None:
        is_back = finding.status in (Status.ESCALATING, Status.REGRESSED)
        standing = f"{finding.severity.value} {is_back}"
    return key_of(prompts.VERSION, model_name, "cluster", task.cluster, standing)


def _with(finding: Finding, explanations: Iterable[Explanation]) -> Finding:
    told = list(explanations)
    if not told:
        return finding
    says = " ".join(one.statement for one in told)
    advice = " ".join(one.recommendation for one in told if one.recommendation)
    return replace(
        finding,
        summary=f"{finding.summary} Looked at closely (checked): {says}",
        recommendation=f"{finding.recommendation} {advice}".strip(),
    )
