"""The same runs, told in every dialect of the demo, grow the same goal trees."""

from collections.abc import Sequence

import pytest

from halo_otel.analysis.goals import names
from halo_otel.analysis.goals.tree import goal_trees
from halo_otel.clock import NS_PER_S
from halo_otel.demo.applications import APPLICATIONS
from halo_otel.demo.dialects import Dialect
from halo_otel.demo.traffic import generate
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import GoalNode, Level
from halo_otel.window.single import SingleWindow

START_NS = 1_790_000_000 * NS_PER_S


def trees(dialect: Dialect) -> list[Sequence[GoalNode]]:
    """The trees of the same runs, whatever the dialect, by the start of the run."""
    traffic = generate(
        seed=4,
        runs=20,
        start_ns=START_NS,
        duration_ns=60 * NS_PER_S,
        dialects={one.service: dialect for one in APPLICATIONS},
    )
    builder = RowBuilder()
    for position, span in enumerate(traffic.spans):
        builder.add_span(span, span.end_ns, position)
    with SingleWindow() as window:
        window.insert(builder.batch())
        with window.view() as view:
            grown = goal_trees(view, traffic.trace_ids)
    return sorted(grown.values(), key=lambda nodes: (nodes[0].start_ns, nodes[1].trace_id))


def outline(nodes: Sequence[GoalNode]) -> list[tuple[object, ...]]:
    return [(node.level, node.kind, node.name, node.agent, node.tokens) for node in nodes]


def run(nodes: Sequence[GoalNode]) -> list[tuple[object, ...]]:
    """Agents, model turns and calls from top to bottom, each under its agent.

    Left out is what dialects rightly tell in different ways: the structure around agents and turns;
    handing over, which is a span of its own, a tool around the agent, or nothing; and what a retriever
    was asked.
    """
    agents = {node.agent for node in nodes if node.kind is SpanKind.AGENT}
    return [
        (node.kind is SpanKind.AGENT, node.agent, node.tokens)
        if node.kind in (SpanKind.AGENT, SpanKind.LLM)
        else (names.spoken(node.tool or ""), node.agent)
        for node in nodes
        if node.kind in (SpanKind.AGENT, SpanKind.LLM)
        or (node.level is Level.OPERATION and node.tool and node.tool not in agents)
    ]


@pytest.mark.parametrize("dialect", [Dialect.GENAI, Dialect.GENAI_EVENTS])
def test_the_same_runs_grow_the_same_trees(dialect: Dialect) -> None:
    for one, other in zip(trees(Dialect.OPENINFERENCE), trees(dialect), strict=True):
        assert run(one) == run(other)
        assert one[0].name == other[0].name
        assert one[1].name.partition(": ")[2] == other[1].name.partition(": ")[2]
        assert one[0].tokens == other[0].tokens


@pytest.mark.parametrize("dialect", Dialect)
def test_goals_are_known_by_agent_and_task(dialect: Dialect) -> None:
    for nodes in trees(dialect):
        for node in nodes:
            if node.kind is SpanKind.AGENT and node.level is Level.SUBGOAL:
                assert str(node.agent) in node.name
                assert ": " in node.name
