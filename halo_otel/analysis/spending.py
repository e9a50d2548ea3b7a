"""How many tokens comparable runs take: one histogram per root agent, mergeable, small.

Two amounts are counted for each run: its tokens, and its tokens over those of its first prompt. A large
task begins with a large prompt, so what is many times dearer in both is dear by its course, not by its
task.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_otel.analysis.frame import Frame
from halo_otel.analysis.histogram import BUCKET_WIDTH, Histogram

# A run's tokens, and its growth in thousandths of its first prompt.
RUNS: Final = """
create or replace temp view run_tokens as
select *, (tokens * 1000) // first_prompt as growth
from (select t, arg_min(service, (p is not null, s)) as service, arg_min(agent, (p is not null, s)) as agent,
             coalesce(sum(tokens), 0)::bigint as tokens,
             arg_min(input_tokens, s) filter (kind = 'llm' and input_tokens > 0) as first_prompt
      from frame_span group by t)
"""
_LEARN: Final = """
select service, agent, floor(ln(tokens) / $width)::integer as bucket,
       floor(ln(growth) / $width)::integer as growth_bucket, count(*) as n
from run_tokens where tokens > 0 and growth > 0 group by all
"""


class Root(NamedTuple):
    """Whose runs they are."""

    service: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Histograms of the tokens and of the growth of runs."""

    tokens: Histogram = field(default_factory=dict)
    growth: Histogram = field(default_factory=dict)


def learn(frame: Frame) -> dict[Root, Spending]:
    """What the frame's runs take, by root agent."""
    frame.con.execute(RUNS)
    rows = frame.con.execute(_LEARN, {"width": BUCKET_WIDTH}).fetchall()
    counts: dict[Root, tuple[Counter[int], Counter[int]]] = {}
    for service, agent, bucket, growth_bucket, n in rows:
        tokens, growth = counts.setdefault(Root(service, agent), (Counter(), Counter()))
        tokens[bucket] += n
        growth[growth_bucket] += n
    return {root: Spending(tokens=a, growth=b) for root, (a, b) in counts.items()}


def merge(parts: Iterable[Mapping[Root, Spending]]) -> dict[Root, Spending]:
    """All runs together."""
    counts: dict[Root, tuple[Counter[int], Counter[int]]] = {}
    for part in parts:
        for root, spending in part.items():
            tokens, growth = counts.setdefault(root, (Counter(), Counter()))
            tokens.update(spending.tokens)
            growth.update(spending.growth)
    return {root: Spending(tokens=a, growth=b) for root, (a, b) in counts.items()}
