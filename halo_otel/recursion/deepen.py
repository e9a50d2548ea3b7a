"""The model tier of one window: what is known already is explained, what no rule can see is looked for.

    parts of runs ─▶ judged each for itself ┐
    clusters of the report ─▶ a conversation about each, over a contrast pair ─▶ checked ─▶ told
    all that was told ─▶ a conversation about the window ─▶ checked ─▶ told

What is looked at is decided by the window (`plan`), not by the model. So bytes and requests grow with clusters,
not with traces. What goes on as before is not paid for again, as long as what was said of it holds in this
window, too.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from halo_otel.llm.budget import Budget
from halo_otel.llm.conversation import Payload, Text
from halo_otel.model.finding import Finding, Status
from halo_otel.model.report import Report, Usage
from halo_otel.recursion import local, plan, prompts
from halo_otel.recursion.claims.checking import Accepted
from halo_otel.recursion.claims.claim import Dropped
from halo_otel.recursion.claims.recalling import kept_of, recalled
from halo_otel.recursion.claims.telling import explained, finding_of, with_explanations
from halo_otel.recursion.environment import likeness
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.tools import clusters
from halo_otel.recursion.memory import key_of
from halo_otel.recursion.plan import Cluster, Kind, Part, Task, Window
from halo_otel.recursion.talk.conversing import QUESTION, WINDOW, Tier, Told, converse
from halo_otel.recursion.worklist import work_off

_QUESTION_SHARE: Final = 0.5  # of the budget; somebody waits for it
_PARTS_SHARE: Final = 0.3  # of what is left, for all parts together
_CLUSTERS_SHARE: Final = 0.85  # the rest is for the window as a whole
_CLUSTER_SHARE_MIN: Final = 1 / 3  # a first request reserves several times what it will cost
_TOGETHER_MIN: Final = 2  # clusters that say something, before the window is looked at as a whole
_LOOK_BYTES: Final = 2_000  # of each look that a conversation begins with
_OPENINGS: Final = {
    Kind.EXPLAIN: prompts.EXPLAIN,
    Kind.UNEXPLAINED: prompts.UNEXPLAINED,
    Kind.SAMPLED: prompts.SAMPLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deepened:
    """The report with what the model added, the claims that were dropped, and the clusters it did not get to."""

    report: Report
    dropped: tuple[Dropped, ...] = ()
    answer: tuple[Accepted, ...] = ()  # to the question, if there was one
    clusters: int = 0  # that were looked at
    unfinished: tuple[tuple[str, str], ...] = ()  # cluster, why
    passed_over: frozenset[str] = frozenset()  # clusters of the window it did not go through

    @property
    def reasons(self) -> dict[str, int]:
        """How many claims were dropped for each reason."""
        return dict(sorted(Counter(one.reason.value for one in self.dropped).items()))


async def deepen(tier: Tier, question: str | None = None) -> Deepened:
    """The environment's report, deepened; and the `question` of a person answered.

    What the endpoint cannot do leaves the report as it was. Raises Unreachable, Rejected and Unwritable,
    whatever was found until then: the deterministic report stands.
    """
    work = _Work(tier)
    answer = Told()
    if question is not None:  # it comes first
        budget = tier.budget
        if tier.max_depth:
            budget = budget.child(budget.left.share(_QUESTION_SHARE))
        opening = [prompts.ANSWER, question]
        answer = await converse(tier, QUESTION, opening, budget, needs_category=False)
    window: Task = Window()
    whole = await work_off(window, work.expand, work.do, depth_max=tier.max_depth)
    told = {QUESTION: answer, **work.told, WINDOW: whole}
    dropped = [replace(one, cluster=name) for name, each in told.items() for one in each.dropped]
    spent = tier.budget.spent
    usage = Usage(
        model_calls=spent.calls,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cost=spent.cost,
        claims_checked=sum(each.checked for each in told.values()),
        claims_dropped=len(dropped),
    )
    findings = await asyncio.to_thread(
        _merged, tier.environment, work.clusters, {**work.told, WINDOW: whole}
    )
    finished = {name for name, each in told.items() if not each.unfinished}
    return Deepened(
        report=replace(tier.environment.report, findings=findings, usage=usage),
        dropped=tuple(dropped),
        answer=answer.accepted,
        clusters=len(work.told),
        unfinished=tuple((name, each.unfinished) for name, each in told.items() if each.unfinished),
        passed_over=frozenset({*plan.names_of(tier.environment), WINDOW} - finished),
    )


def _merged(
    environment: Environment, looked_at: Iterable[Cluster], told: dict[str, Told]
) -> tuple[Finding, ...]:
    """The findings with their explanations, and those that the model added."""
    findings = {one.fingerprint: one for one in environment.report.findings}
    known = {one.name: one.finding for one in looked_at}
    for name, each in told.items():
        finding = known.get(name)
        if finding is not None:
            findings[name] = with_explanations(finding, each.accepted, each.parts, environment)
            continue
        for one in each.accepted:
            added = finding_of(one, name, environment, each.parts)
            findings.setdefault(added.fingerprint, added)
    return tuple(sorted(findings.values(), key=lambda one: -one.priority))


@dataclass(slots=True)
class _Work:
    """The tasks of one window, and what the clusters came to."""

    tier: Tier
    clusters: list[Cluster] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)  # in the order of the clusters
    pairs: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)  # of the memory
    parts_budget: Budget | None = None
    clusters_budget: Budget | None = None

    async def expand(self, task: Task) -> Sequence[Task]:
        """What is below a task."""
        environment = self.tier.environment
        if isinstance(task, Window):
            await asyncio.to_thread(self._recall)
            return self.clusters
        if isinstance(task, Part):
            return await asyncio.to_thread(plan.split, environment, task)
        failing, passing = self.pairs[task.name]
        is_located = task.finding is not None and task.finding.root_cause is not None
        if not self.told[task.name].unfinished or failing is None or is_located:
            return ()
        return await asyncio.to_thread(plan.parts_of, environment, task, failing, passing)

    def _recall(self) -> None:
        """Find the clusters, the pair of each, and what was said of it before and still holds."""
        environment = self.tier.environment
        self.clusters = plan.clusters_of(environment)
        for cluster in self.clusters:
            failing, passing, _ = clusters.pair(environment, cluster.members)
            self.pairs[cluster.name] = failing, passing
            self.keys[cluster.name] = key = self._key(cluster)
            self.told[cluster.name] = self._held(key) or Told(unfinished="not reached")

    def _held(self, key: str) -> Told | None:
        """What was kept under `key`, if all of it still holds."""
        known = self.tier.memory.get(key)
        held = None if known is None else recalled(known, self.tier.environment)
        return None if held is None else Told(accepted=held)

    async def _keep(self, key: str, told: Told) -> None:
        """Remember what came to its end."""
        if not told.unfinished:
            kept = [kept_of(one) for one in told.accepted]
            await asyncio.to_thread(self.tier.memory.put, key, kept)

    async def do(self, task: Task, below: Sequence[Told]) -> Told:
        """A task, when those below it are done."""
        if isinstance(task, Part):
            return _together(below) if below else await self._judge(task)
        if isinstance(task, Cluster):
            if self.told[task.name].unfinished:
                self.told[task.name] = await self._look(task, _together(below))
            return self.told[task.name]
        return await self._look_at_window(below)

    async def _judge(self, part: Part) -> Told:
        tier = self.tier
        if self.parts_budget is None:
            self.parts_budget = tier.budget.part(tier.budget.left.share(_PARTS_SHARE))
        judged = await local.judge(
            part, tier.environment, tier.model, self.parts_budget, tier.memory
        )
        return Told(
            parts=(judged.found,) if judged.found else (),
            dropped=(judged.dropped,) if judged.dropped else (),
            checked=int(bool(judged.found or judged.dropped)),
            unfinished=judged.unfinished,
        )

    async def _look(self, cluster: Cluster, parts: Told) -> Told:
        """The conversation about a cluster; none about runs in which nothing seems wrong."""
        tier = self.tier
        told = parts
        if cluster.kind is not Kind.SAMPLED or parts.parts:
            opening: list[Text] = [
                _OPENINGS[cluster.kind],
                *[text async for text in self._package(cluster)],
            ]
            if parts.parts:
                lines = local.merged(tier.environment, parts.parts)
                opening += [prompts.PARTS, Payload(field="parts", text=lines)]
            share = max(_CLUSTER_SHARE_MIN, 2 / len(self.clusters))
            if self.clusters_budget is None:
                self.clusters_budget = tier.budget.part(tier.budget.left.share(_CLUSTERS_SHARE))
            budget = self.clusters_budget.child(self.clusters_budget.left.share(min(1, share)))
            is_known = cluster.finding is not None
            said = await converse(tier, cluster.name, opening, budget, needs_category=not is_known)
            told = replace(
                said,
                parts=parts.parts,
                dropped=parts.dropped + said.dropped,
                checked=parts.checked + said.checked,
            )
        await self._keep(self.keys[cluster.name], told)
        return told

    async def _look_at_window(self, below: Sequence[Told]) -> Told:
        """The conversation about all that was told, if anything of it is new."""
        tier = self.tier
        said = {
            cluster.name: [explained(one).statement for one in told.accepted]
            for cluster, told in zip(self.clusters, below, strict=True)
            if told.accepted
        }
        if len(said) < _TOGETHER_MIN:
            return Told()
        key = key_of(prompts.VERSION, tier.model_name, "window", sorted(said))
        if (held := await asyncio.to_thread(self._held, key)) is not None:
            return held
        lines = "\n".join(
            json.dumps({"cluster": name, "said": each}) for name, each in said.items()
        )
        opening: list[Text] = [
            prompts.WINDOW,
            Payload(field="told", text=tier.environment.fence.around(lines)),
        ]
        told = await converse(tier, WINDOW, opening, tier.budget, needs_category=True)
        await self._keep(key, told)
        return told

    async def _package(self, cluster: Cluster) -> AsyncIterator[Text]:
        """What is known before the model looks: the finding or group, its pair of runs, where they part."""
        failing, passing = self.pairs[cluster.name]
        looks: list[tuple[str, dict[str, object]]] = []
        if cluster.finding is not None:
            looks.append(("findings", {"fingerprint": cluster.name}))
        if failing is not None:
            looks.append(("trace", {"trace_id": failing}))
            if passing is not None:
                looks.append(("compare", {"failing": failing, "passing": passing}))
        for name, asked in looks:
            arguments = {**asked, "bytes_max": _LOOK_BYTES}
            yield f"\n\n{name}({json.dumps(arguments)}):\n"
            for piece in await self.tier.tools.look(name, arguments):
                yield piece

    def _key(self, cluster: Cluster) -> str:
        """What is asked, of which model: anew when a finding gets worse or comes back, and when the run that
        stands for a group is made of other steps."""
        finding = cluster.finding
        failing, _ = self.pairs[cluster.name]
        shape: object = None
        if finding is not None:
            is_back = finding.status in (Status.ESCALATING, Status.REGRESSED)
            shape = [finding.severity.value, is_back]
        elif failing is not None:
            steps = likeness.steps_of(self.tier.environment, [failing])[failing]
            shape = sorted(step for step in steps if len(step) == 1)
        looks = "cluster" if self.tier.environment.code is None else "cluster and code"
        return key_of(prompts.VERSION, self.tier.model_name, looks, cluster.name, shape)


def _together(told: Sequence[Told]) -> Told:
    """What several parts came to."""
    return Told(
        parts=tuple(one for each in told for one in each.parts),
        dropped=tuple(one for each in told for one in each.dropped),
        checked=sum(each.checked for each in told),
        unfinished=next((each.unfinished for each in told if each.unfinished), ""),
    )
