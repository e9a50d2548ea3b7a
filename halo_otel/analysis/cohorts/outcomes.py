"""What a run can be bad at, and with which runs it is compared."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from halo_otel.analysis.causality import origins, outcome
from halo_otel.analysis.cohorts.mining import EXCESS_MIN, SUPPORT_MIN, Case
from halo_otel.analysis.judgement import Judgement
from halo_otel.clock import NS_PER_S

TAIL: Final = 0.9  # slow and costly are the upper tenth of comparable runs

# What makes work larger is no reason to call it slow or costly: such runs are compared with their like.
_SIZES: Final = ("task", "workflow", "input size")
_NOT_SIZES: Final = tuple(name for name in origins.NAMES if name not in _SIZES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One way to be bad. `amount` is what a run is measured by, None where only bad or not counts."""

    name: str
    does: str  # what a bad run does, as a verb
    attributes: tuple[str, ...]
    amount: Callable[[Judgement], float] | None

    def cases(self, judgements: Sequence[Judgement]) -> tuple[list[Judgement], list[Case]]:
        """The runs that can be compared, and how they ended."""
        amount = self.amount
        if amount is None:
            ended = _ended(judgements)
            known = [one for one, bad in zip(judgements, ended, strict=True) if bad is not None]
            return known, [
                Case(
                    bad=bad,
                    stratum=judgement.agent,
                    attributes=dict(judgement.origin.attributes),
                )
                for judgement, bad in zip(judgements, ended, strict=True)
                if bad is not None
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


FAILING: Final = Outcome(name="failing", does="fail", attributes=origins.NAMES, amount=None)
OUTCOMES: Final = (
    FAILING,
    Outcome(name="slow", does="are slow", attributes=_NOT_SIZES, amount=seconds),
    Outcome(name="costly", does="use many tokens", attributes=_NOT_SIZES, amount=_tokens),
)
