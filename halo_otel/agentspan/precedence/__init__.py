"""The one table: for every fact, which sources are believed, first to last (conventions §7).

The order of the rows is the rule; the first row that yields a fact wins. Facts take OTel's current
key, then its older ones, then the native dialects, then generic keys; only kinds do otherwise. The
order of the facts matters too: `kind` comes first, because rows may hold for some kinds only; error
rows come last, because they read other facts.

One file per theme holds the rows of its facts; a new row goes there.
"""

from collections.abc import Mapping
from typing import Final

from halo_otel.agentspan.precedence import content, error, identity, kind, model, tool
from halo_otel.agentspan.precedence.dialects import DIALECTS
from halo_otel.agentspan.source import Source

__all__ = ["DIALECTS", "OTHERWISE", "PRECEDENCE"]

PRECEDENCE: Final[Mapping[str, tuple[Source, ...]]] = {
    **kind.ROWS,
    **tool.ROWS,
    **identity.ROWS,
    **model.ROWS,
    **content.ROWS,
    **error.ROWS,
}

# For a fact that none of its rows yields: what to read in its place, and by which rows.
OTHERWISE: Final[Mapping[str, Mapping[str, tuple[Source, ...]]]] = {
    **tool.OTHERWISE,
    **content.OTHERWISE,
}
