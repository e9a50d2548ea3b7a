"""What a model says of a finding as a text column, and back.

It stands beside the document because it lives longer: each report writes the document anew, while an
explanation stays until a model gives another or the finding is resolved.
"""

from typing import Any

from halo_otel.model.finding import Explanation
from halo_otel.otlp import anyvalue


def dumps(explanation: Explanation | None) -> str | None:
    """The column's value."""
    if explanation is None:
        return None
    return anyvalue.to_json([explanation.statement, explanation.recommendation])


def loads(text: str | None) -> Explanation | None:
    """What `dumps` wrote."""
    if text is None:
        return None
    told: Any = anyvalue.from_json(text)
    return Explanation(statement=told[0], recommendation=told[1])
