"""Who is below whom, when, and as which agent: one answer per span, whatever senders claim."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

from halo_otel.analysis.goals.names import same_name
from halo_otel.analysis.goals.spans import Spans
from halo_otel.model.facts import SpanKind

OPERATIONS: Final = frozenset(
    kind.value for kind in SpanKind if kind not in (SpanKind.AGENT, SpanKind.CHAIN, SpanKind.OTHER)
)
_STRUCTURE: Final = (SpanKind.CHAIN, SpanKind.OTHER)
_TURN: Final = re.compile(r"(?:^|[\W_])(?:turn|step|iteration|cycle)(?:$|[\W_])", re.IGNORECASE)
_NONE: Final[tuple[int, ...]] = ()
_Amount = TypeVar("_Amount", int, float)


class Shape(NamedTuple):
    """Columns beside those of `Spans`; spans are named by their place there.

    An agent is a span's own; else, of an operation, that of the last operation before it below the same
    parent that has one; else that of the parent.
    `tokens` and `cost` are what a span counts: what it states, unless a span below states any
    (conventions.md §7.5). A span *holds* when it is a container of goals: an agent, what contains one,
    and structure that contains operations. A *turn* is a model call, or structure named like one
    around a single call and what it made: `turn`, `Step 3`, `execute_event_loop_cycle`. A graph's node
    around one model call that comes again is a turn too; its nodes of nothing but other operations are
    calls of the turn before.
    """

    traces: list[range]
    parents: list[int]  # -1 for a root; acyclic
    below: list[Sequence[int]]  # by start
    start_ns: list[int]
    end_ns: list[int]
    shift_ns: list[int]  # what was added to the span's own times
    agents: list[str | None]
    holds: list[bool]
    turns: list[bool]
    tokens: list[int | None]
    cost: list[float | None]
    handed: dict[int, str]  # the agents that a handoff leads to


def shape(spans: Spans) -> Shape:
    """The shape of `spans`."""
    traces = list(_traces(spans.trace))
    parents = [parent for trace in traces for parent in _parents(spans, trace)]
    below = _below(parents)
    order = _downwards(parents, below)
    start_ns, end_ns, shift_ns = _clocks(spans, parents, order)
    if any(shift_ns):
        below = [
            sorted(places, key=lambda place: (start_ns[place], place)) if places else places
            for places in below
        ]
    holds = _holds(spans.kind, parents, order)
    turns = [kind == SpanKind.LLM for kind in spans.kind]
    for place in _named_turns(spans, below, holds):
        turns[place], holds[place] = True, False
    for places in below:
        if len(places) < 3:  # model, tools, model
            continue
        for place, turn in _graph_nodes(spans, below, holds, places):
            turns[place], holds[place] = turn, False
    return Shape(
        traces=traces,
        parents=parents,
        below=below,
        start_ns=start_ns,
        end_ns=end_ns,
        shift_ns=shift_ns,
        agents=_agents(spans, parents, order),
        holds=holds,
        turns=turns,
        tokens=_counted(spans.tokens, parents, order),
        cost=_counted(spans.cost, parents, order),
        handed=dict(_handed(spans)) if any(spans.handoff) else {},
    )


def _traces(trace: Sequence[str]) -> Iterator[range]:
    cuts = [place for place in range(1, len(trace)) if trace[place] != trace[place - 1]]
    return (range(*ends) for ends in pairwise([0, *cuts, len(trace)]) if trace)


def _parents(spans: Spans, trace: range) -> list[int]:
    """The parents of a trace's spans.

    Cycles are cut at an edge to a later span. Spans whose parent never came go below the root, where
    there is exactly one span without a parent and it is no operation.
    """
    part = slice(trace.start, trace.stop)
    places = dict(zip(spans.id[part], trace, strict=True))
    parents = [places.get(parent, -1) for parent in spans.parent_id[part]]
    if any(parent >= place for place, parent in zip(trace, parents, strict=True)):
        parents = _uncycled(parents, trace.start)
    roots = [place for place, parent in zip(trace, parents, strict=True) if parent < 0]
    if len(roots) > 1:
        stated = [place for place in roots if not spans.parent_id[place]]
        if len(stated) == 1 and spans.kind[stated[0]] not in OPERATIONS:
            for place in roots:
                parents[place - trace.start] = stated[0] if place != stated[0] else -1
    return parents


def _uncycled(parents: list[int], first: int) -> list[int]:
    """What no root reaches hangs on a cycle; without edges to later spans there is none."""
    below = _below([parent - first if parent >= 0 else -1 for parent in parents])
    reached = [False] * len(parents)
    todo = [place for place, parent in enumerate(parents) if parent < 0]
    while todo:
        place = todo.pop()
        reached[place] = True
        todo.extend(below[place])
    return [
        -1 if not reached[place] and parent >= place + first else parent
        for place, parent in enumerate(parents)
    ]


def _below(parents: Sequence[int]) -> list[Sequence[int]]:
    found: list[list[int] | None] = [None] * len(parents)
    for place, parent in enumerate(parents):
        if parent >= 0:
            siblings = found[parent]
            if siblings is None:
                found[parent] = [place]
            else:
                siblings.append(place)
    return [places if places is not None else _NONE for places in found]


def _downwards(parents: Sequence[int], below: Sequence[Sequence[int]]) -> Sequence[int]:
    """Every place, parents before their children."""
    if all(parent < place for place, parent in enumerate(parents)):
        return range(len(parents))
    order = [place for place, parent in enumerate(parents) if parent < 0]
    for place in order:  # grows while it is walked
        order.extend(below[place])
    return order


def _clocks(
    spans: Spans, parents: Sequence[int], order: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Times on the clock of the root's service, and what was added to get there.

    A span of another service that lies outside its parent was timed by a clock that disagrees: it is
    moved to the middle of the parent, or to its start if it is longer, and what it calls in its own
    service moves with it (Jaeger, adjuster/clockskew.go). Consumers of a queue may start late.
    """
    start, end, shift = spans.start_ns, spans.end_ns, [0] * len(parents)
    service = spans.service
    if not any(
        parent >= 0 and service[parent] != service[place] for place, parent in enumerate(parents)
    ):
        return start, end, shift
    for place in order:
        parent = parents[place]
        if parent < 0:
            continue
        if service[place] == service[parent]:
            shift[place] = shift[parent]
            continue
        above, above_end = start[parent] + shift[parent], end[parent] + shift[parent]
        spare = (above_end - above) - (end[place] - start[place])
        early = start[place] < above
        if spare < 0 or spans.consumes[place]:
            shift[place] = above - start[place] if early else 0
        elif early or end[place] > above_end:
            shift[place] = above + spare // 2 - start[place]
    return (
        [time + moved for time, moved in zip(start, shift, strict=True)],
        [time + moved for time, moved in zip(end, shift, strict=True)],
        shift,
    )


def _agents(spans: Spans, parents: Sequence[int], order: Sequence[int]) -> list[str | None]:
    agents = list(spans.agent)
    leading: dict[int | str, str] = {}
    for place in order:
        parent, agent = parents[place], agents[place]
        operates = spans.kind[place] in OPERATIONS
        siblings = parent if parent >= 0 else spans.trace[place]
        if agent and operates:
            leading[siblings] = agent
        elif not agent:
            led = leading.get(siblings) if operates else None
            agents[place] = led or (agents[parent] if parent >= 0 else None)
    return agents


def _holds(kinds: Sequence[str], parents: Sequence[int], order: Sequence[int]) -> list[bool]:
    holds = [kind == SpanKind.AGENT for kind in kinds]
    for place in reversed(order):
        parent = parents[place]
        if parent >= 0 and (
            holds[place] or (kinds[place] in OPERATIONS and kinds[parent] not in OPERATIONS)
        ):
            holds[parent] = True
    return holds


def _named_turns(
    spans: Spans, below: Sequence[Sequence[int]], holds: Sequence[bool]
) -> Iterator[int]:
    for place, name in enumerate(spans.name):
        if holds[place] and spans.kind[place] in _STRUCTURE and _TURN.search(name):
            calls = [spans.kind[inner] for inner in below[place]]
            if calls.count(SpanKind.LLM) == 1 and not any(holds[p] for p in below[place]):
                yield place


def _graph_nodes(
    spans: Spans, below: Sequence[Sequence[int]], holds: Sequence[bool], places: Sequence[int]
) -> Iterator[tuple[int, bool]]:
    """The nodes of a looping graph among `places`, such as LangGraph's `model` and `tools`, and which
    are turns. A node that comes once is a stage of a pipeline, and a goal."""
    nodes = [
        place
        for place in places
        if holds[place]
        and spans.kind[place] in _STRUCTURE
        and not any(holds[inner] for inner in below[place])
    ]
    calls = [[spans.kind[inner] for inner in below[place]].count(SpanKind.LLM) for place in nodes]
    asking = [spans.name[place] for place, count in zip(nodes, calls, strict=True) if count == 1]
    again = {name for name in asking if asking.count(name) > 1}
    for place, count in zip(nodes, calls, strict=True):
        if again and (count == 0 or (count == 1 and spans.name[place] in again)):
            yield place, count == 1


def _counted(
    stated: Sequence[_Amount | None], parents: Sequence[int], order: Sequence[int]
) -> list[_Amount | None]:
    counted = list(stated)
    covered = [False] * len(counted)
    for place in reversed(order):
        if covered[place]:
            counted[place] = None
        elif counted[place] is None:
            continue
        if parents[place] >= 0:
            covered[parents[place]] = True
    return counted


def _handed(spans: Spans) -> Iterator[tuple[int, str]]:
    """Each handoff's agent: the next of that name to start in the trace."""
    awaited: dict[tuple[str, str], str] = {}
    for place, target in enumerate(spans.handoff):
        agent = spans.agent[place]
        if target is not None:
            awaited[spans.trace[place], same_name(target)] = target
        elif agent is not None and spans.kind[place] == SpanKind.AGENT:
            named = awaited.pop((spans.trace[place], same_name(agent)), None)
            if named is not None:
                yield place, named
