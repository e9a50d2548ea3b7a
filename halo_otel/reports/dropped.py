"""Claims of a model that did not hold, for people and for programs."""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from halo_otel.clock import rfc3339
from halo_otel.findings.values import DroppedClaim
from halo_otel.reports.contract import escape as escape_json
from halo_otel.reports.markdown import escape
from halo_otel.reports.words import about, moment

NONE: Final = "No dropped claims."
UNREAD: Final = "(could not be read)"


def as_json(claims: Iterable[DroppedClaim]) -> str:
    """A list of objects, indented, no final newline."""
    told = [
        {
            "time": rfc3339(claim.at_ns),
            "reason": claim.reason,
            "why": claim.why,
            "statement": claim.statement,
            "subject": {
                "service": claim.subject.service,
                "agent": claim.subject.agent,
                "tool": claim.subject.tool,
                "model": claim.subject.model,
            },
            "cluster": claim.cluster,
            "asked": claim.asked,
        }
        for claim in claims
    ]
    return escape_json(json.dumps(told, indent=2, ensure_ascii=False))


def as_markdown(claims: Sequence[DroppedClaim]) -> str:
    """As CommonMark, ending in a newline."""
    lines = []
    for claim in claims:
        parts = [about(claim.subject), claim.cluster and f"group {claim.cluster}", claim.asked]
        lines += [
            f"- {moment(claim.at_ns)} · **{escape(claim.reason)}** · {escape(claim.statement or UNREAD)}",
            f"  - {' · '.join(escape(part) for part in parts if part)}",
            f"  - why: {escape(claim.why)}",
        ]
    return "\n".join(lines or [NONE]) + "\n"
