"""How many tokens comparable runs take: one histogram per root agent, mergeable, small.

Two amounts are counted for each run: its tokens, and its tokens for each thing it did and each piece of
what it was asked. A large task asks for much or takes many different calls; what is many times dearer
in both amounts is dear by its course, not by its task.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.histogram import BUCKET_WIDTH, Histogram

# A run's tokens, and its rate: tokens for each different call (and the answer) and each `ASKED_CHARS` of
# the longest thing that was asked, at whatever turn. What was not recorded counts as short.
ASKED_CHARS: Final = 500
RUNS: Final = f"""
create or replace temp view run_tokens as
with whole as (
  select t, arg_min(service, (p is not null, s)) as service, arg_min(agent, (p is not null, s)) as agent,
         coalesce(sum(tokens), 0)::bigint as tokens
  from frame_span group by t),
done as (select t, count(distinct coalesce(sig, s)) as calls from frame_call group by t),
asked as (
  select t, max(input_chars) as chars from frame_text where kind in ('agent', 'llm', 'chain') group by t)
select whole.*, (tokens * 1000)
         // ((coalesce(calls, 0) + 1) * (1 + coalesce(chars, 0) // {ASKED_CHARS})) as rate
from whole left join done using (t) left join asked using (t)
"""  # noqa: S608 our number
_LEARN: Final = """
select service, agent, floor(ln(tokens) / $width)::integer as bucket,
       floor(ln(rate) / $width)::integer as rate_bucket, count(*) as n
from run_tokens where tokens > 0 and rate > 0 group by all
"""


class Root(NamedTuple):
    """Whose runs they are."""

    service: str
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Histograms of the tokens and of the rate of runs."""

    tokens: Histogram = field(default_factory=dict)
    rate: Histogram = field(default_factory=dict)


def learn(frame: Frame) -> dict[Root, Spending]:
    """What the frame's runs take, by root agent."""
    frame.con.execute(RUNS)
    rows = frame.con.execute(_LEARN, {"width": BUCKET_WIDTH}).fetchall()
    counts: dict[Root, tuple[Counter[int], Counter[int]]] = {}
    for service, agent, bucket, rate_bucket, n in rows:
        tokens, rate = counts.setdefault(Root(service, agent), (Counter(), Counter()))
        tokens[bucket] += n
        rate[rate_bucket] += n
    return {root: Spending(tokens=a, rate=b) for root, (a, b) in counts.items()}


def merge(parts: Iterable[Mapping[Root, Spending]]) -> dict[Root, Spending]:
    """All runs together."""
    counts: dict[Root, tuple[Counter[int], Counter[int]]] = {}
    for part in parts:
        for root, spending in part.items():
            tokens, rate = counts.setdefault(root, (Counter(), Counter()))
            tokens.update(spending.tokens)
            rate.update(spending.rate)
    return {root: Spending(tokens=a, rate=b) for root, (a, b) in counts.items()}
