"""Scores that stand on a span: in OTel's events, in flattened attributes, in an evaluator's answer.

Sources: conventions §3, "evaluation"; Pydantic Evals' `assertions`, `scores` and `labels`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from halo_otel.agentspan.source import Read, Reading
from halo_otel.agentspan.values import decoded, label, text
from halo_otel.model.facts import Evaluation

EVALUATIONS_MAX: Final = 100
EXPLANATION_CHARS_MAX: Final = 4096
RESULT: Final = "gen_ai.evaluation.result"
_ANSWERS: Final = frozenset({"score", "value", "label"})
_OTEL: Final = "gen_ai.evaluation."

Evaluations: TypeAlias = tuple[Evaluation, ...]


def of_events(reading: Reading) -> Evaluations | None:
    """OTel's events, one for each score."""
    return _known(_otel(event.attributes) for event in reading.span.events if event.name == RESULT)


def of_attributes(reading: Reading) -> Evaluations | None:
    """OTel's keys on the span itself."""
    return _known([_otel(reading.span.attributes)])


def flattened(list_name: str, item: str) -> Read:
    """A reader of `{list_name}.0.{item}.score` and what stands beside it (OpenInference)."""

    def read(reading: Reading) -> Evaluations | None:
        attributes = reading.span.attributes
        found: list[Evaluation | None] = []
        while len(found) < EVALUATIONS_MAX:
            place = f"{list_name}.{len(found)}.{item}."
            members = {
                member: attributes[key]
                for member in ("name", "score", "label", "explanation")
                if (key := f"{place}{member}") in attributes
            }
            if not members:
                break
            found.append(_of(members, members.get("name")))
        return _known(found)

    return read


def answered(key: str) -> Read:
    """A reader of an evaluator's own answer in the attribute `key`: `{score, label, explanation}`."""

    def read(reading: Reading) -> Evaluations | None:
        found = decoded(reading.span.attributes[key])
        if isinstance(found, (bool, int, float)):
            found = {"score": found}
        if not isinstance(found, dict) or _ANSWERS.isdisjoint(found):
            return None
        return _known([_of(found, found.get("name") or reading.span.name)])

    return read


def named(value: Any) -> Evaluations | None:
    """Scores by name: `{name: {value, reason}}` (Pydantic Evals)."""
    found = decoded(value)
    if not isinstance(found, dict):
        return None
    return _known(
        _of(score if isinstance(score, dict) else {"value": score}, name)
        for name, score in found.items()
    )


def _otel(attributes: Mapping[str, Any]) -> Evaluation | None:
    members = {
        "score": attributes.get(f"{_OTEL}score.value"),
        "label": attributes.get(f"{_OTEL}score.label"),
        "explanation": attributes.get(f"{_OTEL}explanation"),
    }
    return _of(members, attributes.get(f"{_OTEL}name"))


def _of(members: Mapping[str, Any], name: Any) -> Evaluation | None:
    value = members.get("score", members.get("value"))
    score = _score(value)
    said = label(members.get("label"))
    if said is None and score is None:
        said = label(value)
    why = text(members.get("explanation") or members.get("reason") or members.get("comment"))
    known = label(name)
    if known is None:
        return None
    return Evaluation(
        name=known, score=score, label=said, explanation=why and why[:EXPLANATION_CHARS_MAX]
    )


def _score(value: Any) -> float | None:
    """A score is any finite number, negative ones too; a check that held is 1."""
    if not isinstance(value, (bool, int, float)):
        return None
    try:
        score = float(value)
    except OverflowError:
        return None
    return score if math.isfinite(score) else None


def _known(found: Iterable[Evaluation | None]) -> Evaluations | None:
    # What an event and a log record both tell, or one that was sent twice, is one score.
    known = dict.fromkeys(evaluation for evaluation in found if evaluation is not None)
    return tuple(known)[:EVALUATIONS_MAX] or None
