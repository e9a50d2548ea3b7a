"""One conversation of the model tier, from its first words to claims that may be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from halo_otel.errors import BudgetExhausted, ContextTooLong, Refused
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Message, Text
from halo_otel.recursion import prompts
from halo_otel.recursion.claims.checking import Accepted, Checked, refuted, report_tool
from halo_otel.recursion.claims.claim import Dropped
from halo_otel.recursion.environment import registry
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.toolbox import EnvironmentTools
from halo_otel.recursion.local import Local
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.progress import Began, Claimed, Ended, Listener
from halo_otel.recursion.talk.inquiry import Inquiry, Toolbox, inquire
from halo_otel.recursion.talk.mapping import MapTools

QUESTION: Final = "the question"
WINDOW: Final = "the window"
# Its finding and its runs are told at once; each request sends what all tools are.
_CLUSTER_TOOLS: Final = ("query", "search", "trace", "span", "compare", "path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What the model tier works with. `turns` are those of one conversation, `max_depth` how far below the
    window tasks may be, `map_groups` what one call of `map` asks about; `listen` hears what happens."""

    model: Model
    budget: Budget
    memory: Memory
    environment: Environment
    tools: EnvironmentTools
    model_name: str
    turns: int
    max_depth: int
    map_groups: int
    listen: Listener | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one task brought: what may be said, what may not, what is wrong with parts."""

    accepted: tuple[Accepted, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    checked: int = 0
    parts: tuple[Local, ...] = ()
    unfinished: str = ""  # why it brought nothing


async def converse(
    tier: Tier, about: str, opening: Sequence[Text], budget: Budget, *, needs_category: bool
) -> Told:
    """One conversation, and what of its claims may be said."""
    listen = tier.listen or (lambda event: None)
    with_code = tier.environment.code is not None
    checked = Checked(environment=tier.environment, needs_category=needs_category)
    inquiry = Inquiry(
        about=about,
        opening=(
            Message.system(prompts.SYSTEM + (prompts.CODE if with_code else "")),
            Message.user(*opening),
        ),
        report=report_tool(with_code=with_code),
        turns=tier.turns,
        check=checked.check,
    )
    finding = tier.environment.findings.get(about)
    listen(Began(about=about, title=finding.title if finding else about))
    try:
        why = await inquire(tier.model, budget, inquiry, _tools(tier, about, budget), tier.listen)
    except (Refused, ContextTooLong, BudgetExhausted) as error:
        why = str(error)
        listen(Ended(about=about, unfinished=why))
        return Told(unfinished=why)
    accepted, dropped = await refuted(checked, tier.model, tier.budget, tier.tools)
    for held in accepted:
        listen(Claimed(about=about, statement=held.verified.claim.statement, dropped=""))
    for one in dropped:
        statement = one.claim.statement if one.claim else ""
        listen(Claimed(about=about, statement=statement, dropped=one.reason.value))
    listen(Ended(about=about, unfinished=why))
    return Told(
        accepted=tuple(accepted),
        dropped=tuple(dropped),
        checked=checked.count,
        unfinished=why,
    )


def _tools(tier: Tier, about: str, budget: Budget) -> Toolbox:
    """What a conversation that `budget` pays for may use: for a person's question everything."""
    if about != QUESTION:
        return tier.tools.only({*_CLUSTER_TOOLS, *registry.CODE_NAMES})
    return MapTools(
        environment_tools=tier.tools,
        environment=tier.environment,
        model=tier.model,
        model_name=tier.model_name,
        budget=budget,
        memory=tier.memory,
        groups_max=tier.map_groups,
    )
