"""The goal tree: four levels whatever the spans look like, and verdicts that merge upwards."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.tree import goal_tree, grow
from halo_otel.analysis.verdicts import Baseline, TreeSpan
from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import GoalNode, Level, Verdict
from tests.analysis.conftest import Traffic, view_of

S = 1_000_000_000


def span(number: int, parent: int | None, kind: str = "tool", **facts: object) -> TreeSpan:
    known: dict[str, object] = {
        "span_id": f"{number:016x}",
        "parent_span_id": "" if parent is None else f"{parent:016x}",
        "name": f"span {number}",
        "kind": kind,
        "start_ns": S + number * S,
        "end_ns": S + number * S + S // 2,
        "agent": None,
        "session": None,
        "target": None,
        "tokens": None,
        "failed": False,
        "arguments": None,
        "result": None,
        "task": None,
    }
    return TreeSpan(**(known | facts))  # type: ignore[arg-type]


def named(nodes: list[GoalNode], number: int) -> GoalNode:
    return next(node for node in nodes if node.span_id == f"{number:016x}")


SPANS = st.lists(
    st.tuples(
        st.integers(-1, 25),  # the parent: none, itself, an earlier or later span, or a missing one
        st.sampled_from([kind.value for kind in SpanKind]),
        st.booleans(),
        st.sampled_from([None, "a", "b"]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=20,
).map(
    lambda drawn: [
        span(
            number,
            None if parent < 0 else parent,
            kind,
            failed=failed,
            agent=agent,
            start_ns=S + start,
            end_ns=S + start,
        )
        for number, (parent, kind, failed, agent, start) in enumerate(drawn)
    ]
)


@given(SPANS)
def test_any_spans_make_a_whole_tree(spans: list[TreeSpan]) -> None:
    nodes = grow("t", spans)
    assert sorted(node.span_id for node in nodes if node.span_id) == sorted(
        s.span_id for s in spans
    )
    assert [node.index for node in nodes] == list(range(len(nodes)))
    assert nodes[0].level is Level.SESSION
    assert nodes[0].parent == -1
    assert nodes[1].level is Level.RUN
    assert {Level.SESSION, Level.RUN, Level.SUBGOAL, Level.STEP} <= {node.level for node in nodes}
    leaves = set(range(len(nodes))) - {node.parent for node in nodes}
    for node in nodes[1:]:
        above = nodes[node.parent]
        assert node.parent < node.index
        assert node.level > above.level or node.level == above.level in (
            Level.SUBGOAL,
            Level.NESTED,
        )
        assert above.start_ns <= node.start_ns <= node.end_ns <= above.end_ns
    assert all(nodes[leaf].level >= Level.STEP for leaf in leaves)


@given(SPANS, st.randoms())
def test_the_order_of_spans_does_not_matter(spans: list[TreeSpan], random: object) -> None:
    shuffled = list(spans)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert grow("t", shuffled) == grow("t", spans)


def test_a_chain_of_ten_thousand_spans_is_no_problem() -> None:
    nodes = grow(
        "t", [span(n, n - 1 if n else None, "chain" if n % 2 else "tool") for n in range(10_000)]
    )
    assert len([node for node in nodes if node.span_id]) == 10_000


def test_a_flat_trace_gets_an_episode_with_steps() -> None:
    nodes = grow(
        "t",
        [
            span(0, None, "agent", agent="desk", session="s1", task="refund order 7"),
            span(1, 0, "llm", tokens=10),
            span(2, 0, target="find_order"),
            span(3, 0, target="refund"),
            span(4, 0, "llm", tokens=5),
        ],
    )
    assert [(node.level, node.name) for node in nodes] == [
        (Level.SESSION, "session s1"),
        (Level.RUN, "desk: refund order 7"),
        (Level.SUBGOAL, "episode 1 of desk"),
        (Level.STEP, "turn 1: find_order, refund"),
        (Level.OPERATION, "find_order"),
        (Level.OPERATION, "refund"),
        (Level.STEP, "turn 2: answer"),
    ]
    assert nodes[0].tokens == 15


def test_agents_below_agents_are_subgoals() -> None:
    nodes = grow(
        "t",
        [
            span(0, None, "agent", agent="lead"),
            span(1, 0, "llm"),
            span(2, 0, "agent", agent="helper"),
            span(3, 2, "llm"),
            span(4, 2, target="search"),
            span(5, 4, "other"),
        ],
    )
    helper = named(nodes, 2)
    assert (helper.level, helper.agent, nodes[helper.parent].level) == (
        Level.SUBGOAL,
        "helper",
        Level.RUN,
    )
    assert named(nodes, 4).level is Level.OPERATION
    assert named(nodes, 5).level is Level.NESTED
    assert named(nodes, 5).agent == "helper"


def test_a_fault_made_good_is_recovered_up_to_the_top() -> None:
    nodes = grow(
        "t",
        [
            span(0, None, "agent"),
            span(1, 0, "llm"),
            span(2, 0, target="fetch", failed=True),
            span(3, 0, "llm"),
            span(4, 0, target="fetch"),
        ],
    )
    assert named(nodes, 2).correctness is Verdict.RECOVERED
    assert nodes[0].correctness is Verdict.RECOVERED


def test_a_fault_at_the_end_is_bad_up_to_the_top() -> None:
    nodes = grow("t", [span(0, None, "agent"), span(1, 0, "llm"), span(2, 0, failed=True)])
    assert {nodes[place].correctness for place in (0, 1, 2, 3, 4)} == {Verdict.BAD}


def test_a_repeated_answer_is_suspect_work() -> None:
    same = {"target": "search", "arguments": "{}", "result": "x"}
    nodes = grow("t", [span(0, None, "agent"), span(1, 0, **same), span(2, 0, **same)])
    assert named(nodes, 1).resources is Verdict.OK
    assert named(nodes, 2).resources is Verdict.SUSPECT
    assert nodes[0].resources is Verdict.SUSPECT


@pytest.mark.parametrize(
    ("seconds", "peers", "verdict"),
    [(0.5, 100, Verdict.OK), (30, 100, Verdict.SUSPECT), (30, 5, Verdict.UNKNOWN)],
)
def test_latency_is_judged_against_peers(seconds: float, peers: int, verdict: Verdict) -> None:
    call = span(1, 0, target="fetch", end_ns=2 * S + round(seconds * S))
    baselines = {("tool", "fetch"): Baseline(peers, math.log(0.5e9), 0.2)}
    assert named(grow("t", [span(0, None, "agent"), call], baselines), 1).latency is verdict


def test_the_tree_of_a_trace_in_a_view(traffic: Traffic) -> None:
    run = traffic.healthy(3).run(session="s 9").call("search", {"q": 1}, "x")
    with view_of(traffic.rows) as view:
        nodes = goal_tree(view, run.trace_id)
        assert goal_tree(view, "0" * 32) == []
    assert nodes[0].name == "session s 9"
    assert [node.name for node in nodes if node.level is Level.OPERATION] == ["search"]
    assert grow("t", []) == []


def test_unknown_tokens_stay_unknown(traffic: Traffic) -> None:
    known = traffic.run().call("search", {"q": 1}, "x")
    unknown = traffic.run().call("search", {"q": 2}, "y")
    for row in unknown.rows:
        row.update(input_tokens=None, output_tokens=None)
    with view_of(traffic.rows) as view:
        assert (goal_tree(view, known.trace_id)[0].tokens or 0) > 0
        assert goal_tree(view, unknown.trace_id)[0].tokens is None
