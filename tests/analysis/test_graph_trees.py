"""Graphs whose nodes are spans (LangGraph): a node around a model call is a turn, not a goal."""

from halo_otel.model.goal import Level
from tests.analysis.test_tree import named, span, tree


def test_the_nodes_of_a_looping_graph_are_turns_and_their_calls() -> None:
    nodes = tree(
        [
            span(1, None, "agent", agent="guide", end_ns=20_000_000_000),
            span(2, 1, "chain", name="model"),
            span(3, 2, "llm", target="large"),
            span(4, 1, "chain", name="tools"),
            span(5, 4, "tool", target="get_weather", name="get_weather"),
            span(6, 1, "chain", name="model"),
            span(7, 6, "llm", target="large"),
        ]
    )
    assert [node.name for node in nodes if node.level is Level.STEP] == [
        "turn 1: get weather",
        "turn 2: answer",
    ]
    assert named(nodes, 2).level is Level.STEP
    assert {node.span_id for node in nodes if node.span_id} == {f"{n:016x}" for n in range(1, 8)}


def test_the_stages_of_a_pipeline_stay_goals() -> None:
    nodes = tree(
        [
            span(1, None, "agent", agent="guide", end_ns=20_000_000_000),
            span(2, 1, "chain", name="plan"),
            span(3, 2, "llm", target="large"),
            span(4, 1, "chain", name="search"),
            span(5, 4, "tool", target="search", name="search"),
            span(6, 1, "chain", name="write"),
            span(7, 6, "llm", target="large"),
        ]
    )
    assert [named(nodes, n).level for n in (2, 4, 6)] == [Level.SUBGOAL] * 3
