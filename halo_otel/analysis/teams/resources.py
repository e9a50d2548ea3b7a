"""What agents may know of each other when they touch the same thing (`frame_touch`).

An agent that works beside another one cannot know what that one does. One that works after it may have
been told: by what its model was given to read. Where that is not recorded, or cut, nobody can say.
"""

import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, cast

from halo_otel.analysis.claims.hit import Spot, spot
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.frame.touches import BASE_NAMES
from halo_otel.model.finding import Role

SKEW_NS: Final = (
    2_000_000_000  # clocks of different services may differ by so much (detectors.md §1.6)
)
_BASE: Final = re.compile(
    rf"{BASE_NAMES}|.*(timestamp|nonce|request_?id|idempotency_?key|reason|comment|note|message)|ts|(.*_)?(at|by)",
    re.IGNORECASE,
)
_MENTION_CHARS: Final = 60
_VALUE_CHARS_MIN: Final = 3  # "7" stands in every prompt

_SPANS: Final = """
select span.s, span.span_id, span.end_ns, span.resource_id
from frame_span span semi join (select unnest($s::integer[]) as s) using (s)
"""
_TEXTS: Final = """
select s, arguments, result from frame_text semi join (select unnest($s::integer[]) as s) using (s)
"""
_PROMPTS: Final = """
select span.s, w.input_text, w.input_text_chars > length(w.input_text) as cut
from frame_span span semi join (select unnest($s::integer[]) as s) using (s)
join frame_trace trace using (t) join spans w using (trace_id, span_id)
where w.input_text is not null
"""
# Beside each other: a model or tool at work for one while another is for the other, or two agents that
# one caller started and that run at the same time. A call that encloses another agent waits for it.
_BESIDE: Final = """
with pair as (select unnest($t::integer[]) as t, unnest($one::varchar[]) as one, unnest($other::varchar[]) as other),
work as (
  select span.* from frame_span span
  where kind in ('llm', 'tool', 'retriever') and t in (select t from pair)
    and s not in (select top.s from frame_span low join frame_span top on low.p = top.s
                  where low.kind in ('agent', 'chain', 'llm')))
select distinct pair.t, one, other from pair
join work x on x.t = pair.t and x.agent = one join work y on y.t = pair.t and y.agent = other
where x.start_ns < y.end_ns and y.start_ns < x.end_ns
union
select distinct pair.t, one, other from pair
join frame_span x on x.t = pair.t and x.agent = one and x.kind = 'agent'
join frame_span y on y.t = pair.t and y.agent = other and y.kind = 'agent' and x.p = y.p
where x.start_ns < y.end_ns and y.start_ns < x.end_ns
"""


class Told(StrEnum):
    """Whether a model's prompt speaks of something."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Said(NamedTuple):
    """What a call was made with and what came back; the beginning of it."""

    arguments: str | None
    result: str | None


class Place(NamedTuple):
    """Where a span stands in the telemetry."""

    span_id: str
    end_ns: int
    resource_id: int

    def spot(self, role: Role, note: str) -> Spot:
        """The span as evidence."""
        return spot(self, role, note)


def places(frame: Frame, spans: Iterable[int | None]) -> dict[int, Place]:
    """Where `spans` stand."""
    wanted = sorted({s for s in spans if s is not None})
    rows = frame.con.execute(_SPANS, {"s": wanted}).fetchall() if wanted else []
    return {s: Place(*rest) for s, *rest in rows}


def said(frame: Frame, calls: Iterable[int]) -> dict[int, Said]:
    """What was said in `calls`."""
    wanted = sorted(set(calls))
    rows = frame.con.execute(_TEXTS, {"s": wanted}).fetchall() if wanted else []
    return {s: Said(*rest) for s, *rest in rows}


def beside(frame: Frame, pairs: Iterable[tuple[int, str, str]]) -> set[tuple[int, str, str]]:
    """Those of `pairs` (trace, agent, agent) that work at the same time somewhere in the trace."""
    wanted = sorted(set(pairs))
    if not wanted:
        return set()
    t, one, other = zip(*wanted, strict=True)
    rows = frame.con.execute(_BESIDE, {"t": list(t), "one": list(one), "other": list(other)})
    return {cast(tuple[int, str, str], row) for row in rows.fetchall()}


def told(frame: Frame, pairs: Sequence[tuple[int | None, Said]]) -> list[Told]:
    """For each (turn, what a call said), whether the turn's prompt holds the answer or the new values."""
    wanted = sorted({turn for turn, _ in pairs if turn is not None})
    rows = frame.con.execute(_PROMPTS, {"s": wanted}).fetchall() if wanted else []
    prompts = {s: (_bare(text), cut) for s, text, cut in rows}
    return [_mentions(prompts.get(turn), call) for turn, call in pairs]


def _mentions(prompt: tuple[str, bool] | None, call: Said) -> Told:
    if prompt is None:
        return Told.UNKNOWN
    text, cut = prompt
    answer = _bare(call.result or "")[:_MENTION_CHARS]
    new = [value for value in changes(call.arguments).values() if len(value) >= _VALUE_CHARS_MIN]
    if len(answer) > _MENTION_CHARS // 2 and answer in text:
        return Told.YES
    if new and all(_bare(value)[:_MENTION_CHARS] in text for value in new):
        return Told.YES
    return Told.UNKNOWN if cut else Told.NO


def _bare(text: str) -> str:
    """`text` without what quoting it inside JSON adds."""
    return text.replace("\\n", " ").replace("\\", "").replace("\n", " ")


def changes(arguments: str | None, keys: Sequence[str] = ()) -> dict[str, str]:
    """The values in `arguments` by path, without the members that name the thing."""
    found: dict[str, str] = {}
    try:
        _collect(json.loads(arguments or "{}"), (), {key.lower() for key in keys}, found)
    except (ValueError, RecursionError):
        return {}
    return found


def _collect(value: Any, path: tuple[str, ...], keys: set[str], found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if path or name.lower() not in keys:
                _collect(member, (*path, name), keys, found)
    elif path and value is not None:
        found[".".join(path)] = (
            value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        )


def is_base(name: str) -> bool:
    """Whether an argument says what a change builds on, or changes with every call."""
    return _BASE.fullmatch(name.rpartition(".")[2]) is not None
