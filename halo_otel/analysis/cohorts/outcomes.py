"""What a run can be bad at, and with which runs it is compared."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from halo_otel.analysis.causality import origins, outcome
from halo_otel.analysis.cohorts.mining import EXCESS_MIN, SUPPORT_MIN, Case, Condition
from halo_otel.analysis.judgement import Judgement
from halo_otel.clock import NS_PER_S

TAIL: Final = 0.9  # slow and costly are the upper tenth of comparable runs

# What is asked makes work larger and harder, which nobody deployed: runs are compared with their like.
_SIZES: Final = ("task", "workflow", "input size")
_NOT_SIZES: Final = tuple(name for name in origins.NAMES if name not in _SIZES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One way to be bad. `amount` is what a run is measured by, None where only bad or not counts.

    Where `of_tasks`, tasks are compared with each other, and only cohorts that name a task are meant.
    """

    name: str
    does: str  # what a bad run does, as a verb
    attributes: tuple[str, ...]
    amount: Callable[[Judgement], float] | None = None
    of_tasks: bool = False

    def means(self, conditions: Sequence[Condition]) -> bool:
        """Whether a cohort of these conditions is this outcome's to tell."""
        return not self.of_tasks or any(name in _SIZES for name, _ in conditions)

    def is_of_task(self, conditions: Sequence[Condition]) -> bool:
        """Whether they say nothing but what was asked."""
        return self.of_tasks and all(name in _SIZES for name, _ in conditions)

    def cases(self, judgements: Sequence[Judgement]) -> tuple[list[Judgement], list[Case]]:
        """The runs that can be compared, and how they ended."""
        amount = self.amount
        if amount is None:
            ended = [
                (judgement, bad)
                for judgement, bad in zip(judgements, _ended(judgements), strict=True)
                if bad is not None
            ]
            known = [judgement for judgement, _ in ended]
            alike = [judgement.agent for judgement in known] if self.of_tasks else _strata(known)
            return known, [
                Case(bad=bad, stratum=stratum, attributes=dict(judgement.origin.attributes))
                for (judgement, bad), stratum in zip(ended, alike, strict=True)
            ]
        compared = [j for j in judgements if j.failed is not True and amount(j) > 0]
        strata = _strata(compared)
        bounds = _bounds(strata, [amount(judgement) for judgement in compared])
        return compared, [
            Case(
                bad=amount(judgement) > bounds[stratum],
                stratum=stratum,
                attributes=dict(judgement.origin.attributes),
            )
            for judgement, stratum in zip(compared, strata, strict=True)
        ]


def _ended(judgements: Sequence[Judgement]) -> list[bool | None]:
    """Whether each run failed; where failures are recorded, a run in doubt goes by its signs."""
    recorded = sum(judgement.failed is True for judgement in judgements)
    if recorded < EXCESS_MIN:
        return [judgement.failed for judgement in judgements]
    return [outcome.seems_failed(judgement.failed, judgement.votes) for judgement in judgements]


def seconds(judgement: Judgement) -> float:
    """How long a run took."""
    return (judgement.end_ns - judgement.start_ns) / NS_PER_S


def _tokens(judgement: Judgement) -> float:
    return float(judgement.tokens)


def _strata(judgements: Sequence[Judgement]) -> list[str]:
    """Agent, task and size of each run; those with too few of their like are compared by agent."""
    keys = []
    for judgement in judgements:
        own = dict(judgement.origin.attributes)
        keys.append("\0".join((judgement.agent, *(own.get(name, "") for name in _SIZES))))
    counts = Counter(keys)
    return [
        key if counts[key] >= SUPPORT_MIN else judgement.agent
        for key, judgement in zip(keys, judgements, strict=True)
    ]


def _bounds(strata: Sequence[str], amounts: Sequence[float]) -> dict[str, float]:
    by_stratum: dict[str, list[float]] = defaultdict(list)
    for stratum, amount in zip(strata, amounts, strict=True):
        by_stratum[stratum].append(amount)
    return {
        stratum: sorted(values)[int(TAIL * (len(values) - 1))]
        for stratum, values in by_stratum.items()
    }


OUTCOMES: Final = (
    Outcome(name="failing", does="fail", attributes=_NOT_SIZES),
    Outcome(name="failing", does="fail", attributes=origins.NAMES, of_tasks=True),
    Outcome(name="slow", does="are slow", attributes=_NOT_SIZES, amount=seconds),
    Outcome(name="costly", does="use many tokens", attributes=_NOT_SIZES, amount=_tokens),
)
