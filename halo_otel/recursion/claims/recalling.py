"""What was said of a cluster before, said again if it holds in this window: with this window's figures."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from halo_otel.recursion.claims.checking import Accepted
from halo_otel.recursion.claims.claim import Claim, Dropped, Predicate, read
from halo_otel.recursion.claims.verify import value_of, verify
from halo_otel.recursion.environment.environment import Environment


def kept_of(accepted: Accepted) -> dict[str, Any]:
    """An accepted claim as a JSON value."""
    claim = accepted.verified.claim.model_dump(mode="json")
    return {"claim": claim, "category": accepted.category, "sure": accepted.sure}


def recalled(
    kept: Sequence[Mapping[str, Any]], environment: Environment
) -> tuple[Accepted, ...] | None:
    """The claims with this window's figures; None if any of them does not hold any more."""
    accepted = []
    for one in kept:
        claim = read(one["claim"])
        if isinstance(claim, Dropped):  # kept by another version
            return None
        verified = verify(refreshed(claim, environment), environment)
        if isinstance(verified, Dropped):
            return None
        accepted.append(Accepted(verified=verified, category=one["category"], sure=one["sure"]))
    return tuple(accepted)


def refreshed(claim: Claim, environment: Environment) -> Claim:
    """`claim` with what its exact predicates give now, in place of what they gave, also in its sentence."""
    statement, predicates = claim.statement, []
    for predicate in claim.predicates:
        now = _now(predicate, environment)
        if now is not None and now != predicate.expected:
            statement = _with_figure(statement, predicate.expected, now)
            predicate = predicate.model_copy(update={"expected": now})
        predicates.append(predicate)
    changes = {"statement": statement, "predicates": tuple(predicates)}
    return claim.model_copy(update=changes)


def _now(predicate: Predicate, environment: Environment) -> int | None:
    """A count as it is now; other values are compared as they are."""
    if predicate.comparison != "=" or not isinstance(predicate.expected, int):
        return None
    value = value_of(predicate, environment)
    return value if isinstance(value, int) else None


def _with_figure(statement: str, old: object, new: object) -> str:
    return re.sub(rf"(?<![\w.,]){re.escape(str(old))}(?![\w]|[.,]\d)", str(new), statement)
