"""`goal_tree`: one goal of a run, what it was made of and how each part went."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from halo_otel.clock import NS_PER_S
from halo_otel.model.goal import GoalNode, Verdict
from halo_otel.recursion.environment.arguments import Paged, TraceId
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, clipped, failure, page

_NAME_CHARS = 200
_SILENT = (Verdict.OK, Verdict.UNKNOWN)


class Goals(Paged):
    """One node of a trace's goal tree with its children and their verdicts (correctness, latency,
    resources; only bad, suspect and recovered ones are told). Node 0 is the session's goal; below are run,
    sub-goals, steps, operations. Go down where a child is bad; span shows what stands behind a node."""

    trace_id: TraceId
    node: int = Field(0, ge=0, description="index of the node; 0 is the root")


def run(environment: Environment, asked: Goals) -> Reply:
    """The node and its children."""
    nodes = environment.goals(asked.trace_id)
    if not nodes:
        return failure(f"there is no trace {asked.trace_id}: search or query for trace ids")
    if asked.node >= len(nodes):
        return failure(
            f"node {asked.node} does not exist: the tree has nodes 0 to {len(nodes) - 1}"
        )
    below = _children(nodes)
    children = below[asked.node]
    items = [
        _told(environment, nodes[place], len(below[place])) for place in children[asked.offset :]
    ]
    return page(
        environment.fence,
        items,
        head=_told(environment, nodes[asked.node], len(children)),
        offset=asked.offset,
        total=len(children),
        bytes_max=asked.bytes_max,
    )


def _children(nodes: Sequence[GoalNode]) -> list[list[int]]:
    below: list[list[int]] = [[] for _ in nodes]
    for place, node in enumerate(nodes):
        if node.parent >= 0:
            below[node.parent].append(place)
    return below


def _told(environment: Environment, node: GoalNode, children: int) -> dict[str, Any]:
    verdicts = {
        name: verdict.value
        for name in ("correctness", "latency", "resources")
        if (verdict := getattr(node, name)) not in _SILENT
    }
    return {
        "node": node.index,
        "level": node.level.name.lower(),
        "name": clipped(environment.shown(node.name), _NAME_CHARS),
        "agent": node.agent,
        "tool": node.tool,
        "span_id": node.span_id,
        "seconds": round((node.end_ns - node.start_ns) / NS_PER_S, 3),
        "tokens": node.tokens,
        "children": children,
        **verdicts,
    }
