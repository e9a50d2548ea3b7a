"""From what a model reports to what may be said: verified, then given to somebody else to refute."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from halo_otel.errors import HaloError
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Message, Question, Schema, Tool
from halo_otel.model.finding import CATEGORIES
from halo_otel.recursion import prompts
from halo_otel.recursion.claims.claim import Dropped, Reason, Verified, claim_schema, read
from halo_otel.recursion.claims.verify import verify
from halo_otel.recursion.environment.arguments import strict_object
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.toolbox import EnvironmentTools

CLAIMS_MAX: Final = 3  # of one report
_REFUTE_TOKENS: Final = 300
_EVIDENCE_SPANS, _EVIDENCE_BYTES = 4, 2_500


def report_tool(*, with_code: bool = False) -> Tool:
    """The tool that ends a conversation: some claims, with what kind of trouble each is about. It is the same
    for all conversations, so that what they begin with is paid for once where an endpoint caches it."""
    category = {"type": "string", "enum": list(CATEGORIES)}
    item = {"claim": claim_schema(with_code=with_code), "category": category}
    return Tool(
        name="report",
        description=f"End with at most {CLAIMS_MAX} claims, which are checked; none is fine.",
        parameters=strict_object({"claims": {"type": "array", "items": strict_object(item)}}),
    )


_VERDICT: Final = Schema(
    name="verdict",
    schema=strict_object(
        {
            "verdict": {"type": "string", "enum": ["holds", "refuted", "unclear"]},
            "why": {"type": "string"},
        }
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A claim that holds, was not refuted, and what it is about; `sure` if a second look agreed."""

    verified: Verified
    category: str  # of the report contract; "" where it is about a known finding
    sure: bool


@dataclass(slots=True)
class Checked:
    """What became of the claims of one conversation."""

    environment: Environment
    needs_category: bool
    holds: list[tuple[Verified, str]] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    count: int = 0

    async def check(self, report: Mapping[str, Any]) -> str | None:
        """Verify the claims of `report`; what is wrong with those that do not hold, or None.

        A second report replaces what was wrong in the first; what held stays.
        """
        corrections: list[str] = []
        self.dropped.clear()
        for place, (written, category) in enumerate(_items(report), 1):
            self.count += 1
            judged = await asyncio.to_thread(_verified, written, self.environment)
            if self.needs_category and category not in CATEGORIES:
                why = f"category is one of {', '.join(CATEGORIES)}"
                judged = Dropped(reason=Reason.MALFORMED, why=why)
            if isinstance(judged, Dropped):
                self.dropped.append(judged)
                corrections.append(f"claim {place}: {judged.reason.value}: {judged.why}")
            elif all(judged.claim != other.claim for other, _ in self.holds):
                self.holds.append((judged, category))
        if not corrections:
            return None
        # What a claim said of the traces, and what they say instead, is the traces' word.
        return prompts.CORRECT + self.environment.fence.around("\n".join(corrections))


def _items(report: Mapping[str, Any]) -> list[tuple[Mapping[str, object], str]]:
    """The claims and their categories as they were written, whatever shape they have."""
    claims = report.get("claims")
    items: list[tuple[Mapping[str, object], str]] = []
    for one in claims[:CLAIMS_MAX] if isinstance(claims, list) else ():
        told = one if isinstance(one, dict) else {}
        written = told.get("claim")
        items.append((written if isinstance(written, dict) else {}, str(told.get("category", ""))))
    return items


def _verified(written: Mapping[str, object], environment: Environment) -> Verified | Dropped:
    claim = read(written)
    return claim if isinstance(claim, Dropped) else verify(claim, environment)


async def refuted(
    checked: Checked, model: Model, budget: Budget, tools: EnvironmentTools
) -> tuple[list[Accepted], list[Dropped]]:
    """A second look at each claim that holds, by a fresh context that sees only its evidence (detectors.md
    §1.11). Where none can be had, the claim is not sure."""
    accepted, dropped = [], list(checked.dropped)
    for verified, category in checked.holds:
        verdict, why = await _second_look(verified, model, budget, tools)
        if verdict == "refuted":
            dropped.append(Dropped(reason=Reason.REFUTED, why=why, claim=verified.claim))
        else:
            accepted.append(Accepted(verified=verified, category=category, sure=verdict == "holds"))
    return accepted, dropped


async def _second_look(
    verified: Verified, model: Model, budget: Budget, tools: EnvironmentTools
) -> tuple[str, str]:
    claim = verified.claim
    spans = [
        await tools.look(
            "span",
            {"trace_id": one.trace_id, "span_id": one.span_id, "bytes_max": _EVIDENCE_BYTES},
        )
        for one in claim.spans[:_EVIDENCE_SPANS]
    ]
    spans += [
        await tools.look(
            "code_read",
            {"path": one.path, "first_line": max(1, one.line - 10), "lines": 21},
        )
        for one in claim.code[:_EVIDENCE_SPANS]
    ]
    told = {
        "statement": claim.statement,
        "predicates": [
            {"sql": one.sql, "value": value}
            for one, value in zip(claim.predicates, verified.values, strict=True)
        ],
    }
    question = Question(
        messages=(
            Message.system(prompts.SYSTEM),
            Message.user(prompts.REFUTE, json.dumps(told, ensure_ascii=False)),
            *(Message.user(*span) for span in spans),
        ),
        schema=_VERDICT,
        role="synthesis",
        max_output_tokens=_REFUTE_TOKENS,
    )
    try:
        value = (await model.ask(question, budget)).value or {}
    except HaloError:
        return "unclear", "nobody could be asked"
    return str(value.get("verdict", "unclear")), str(value.get("why", ""))[:300]
