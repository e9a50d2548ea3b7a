"""The goal tree: four levels whatever the spans look like, names a person knows, honest sums."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.goals import names
from halo_otel.analysis.goals.spans import COLUMNS, Spans
from halo_otel.analysis.goals.tree import goal_tree, goal_trees, grow, session_tree
from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import GoalNode, Level, Verdict
from halo_otel.model.span import TraceId
from tests.analysis.conftest import MS, Row, Traffic, view_of

S = 1_000_000_000


def span(number: int, parent: int | None, kind: str = "tool", **facts: object) -> Row:
    known: Row = dict.fromkeys(COLUMNS)
    known |= {
        "trace": "t",
        "id": f"{number:016x}",
        "parent_id": "" if parent is None else f"{parent:016x}",
        "name": f"span {number}",
        "kind": kind,
        "service": "shop",
        "consumes": False,
        "start_ns": S + number * S,
        "end_ns": S + number * S + S // 2,
        "failed": False,
    }
    return known | facts


def columns(rows: Sequence[Row]) -> Spans:
    ordered = sorted(rows, key=lambda row: (row["trace"], row["start_ns"], row["id"]))
    return Spans(**{name: [row[name] for row in ordered] for name in COLUMNS})  # type: ignore[arg-type]


def tree(rows: Sequence[Row]) -> list[GoalNode]:
    return list(grow(columns(rows))[TraceId("t")])


def named(nodes: Sequence[GoalNode], number: int) -> GoalNode:
    return next(node for node in nodes if node.span_id == f"{number:016x}")


def outline(nodes: Sequence[GoalNode]) -> list[tuple[int, str]]:
    return [(int(node.level), node.name) for node in nodes]


TEXTS = (
    st.none() | st.sampled_from(["ask", "Hi! Where is it?", "\x1b[2J\u202e" * 90, ""]) | st.text()
)
PLANS = st.sampled_from(
    [None, "{", "[]", '{"todos": [{"status": "in_progress", "content": "look"}]}', "[[[1]]]", "7"]
)
FACTS = st.fixed_dictionaries(
    {
        "trace": st.sampled_from(["t", "t", "u"]),
        "kind": st.sampled_from([*(kind.value for kind in SpanKind), "unheard of"]),
        "name": st.sampled_from(["work", "turn", "step 2", ""]),
        "service": st.sampled_from(["shop", "bank"]),
        "consumes": st.booleans(),
        "failed": st.booleans(),
        "agent": st.sampled_from([None, "a", "b", ""]),
        "handoff": st.sampled_from([None, None, "a", "B"]),
        "target": TEXTS,
        "argument": TEXTS,
        "task": TEXTS,
        "plan": PLANS,
        "tokens": st.none() | st.integers(0, 9),
        "cost": st.none() | st.floats(0, 9),
        "slow": st.sampled_from([None, False, True]),
        "repeats": st.sampled_from([None, False, True]),
    }
)


@st.composite
def soups(draw: st.DrawFn) -> list[Row]:
    """Spans of any facts whose parent is none, themselves, any other of any trace, or a missing one."""
    rows = []
    for number, facts in enumerate(draw(st.lists(FACTS, min_size=1, max_size=20))):
        parent, start, length = draw(
            st.tuples(st.none() | st.integers(0, 25), st.integers(0, 9), st.integers(0, 9))
        )
        times = {"start_ns": S + start, "end_ns": S + start + length}
        rows.append(span(number, parent, **(facts | times)))  # type: ignore[arg-type]
    return rows


@given(soups())
def test_any_spans_make_a_whole_tree(rows: list[Row]) -> None:
    trees = grow(columns(rows))
    told = [node.span_id for nodes in trees.values() for node in nodes if node.span_id]
    assert sorted(told) == sorted(str(row["id"]) for row in rows)
    for nodes in map(list, trees.values()):
        assert [node.index for node in nodes] == list(range(len(nodes)))
        assert (nodes[0].level, nodes[0].parent, nodes[1].level) == (Level.SESSION, -1, Level.RUN)
        leaves = set(range(len(nodes))) - {node.parent for node in nodes}
        assert all(nodes[leaf].level >= Level.STEP for leaf in leaves)
        for node in nodes[1:]:
            above = nodes[node.parent]
            assert node.parent < node.index
            assert node.level == above.level + 1 or node.level == above.level in (
                Level.SUBGOAL,
                Level.NESTED,
            )
            assert above.start_ns <= node.start_ns <= node.end_ns <= above.end_ns
        for node in nodes:
            assert len(node.name) <= names.CHARS_MAX
            assert node.name.isprintable()


@given(soups())
def test_a_tree_does_not_depend_on_other_traces(rows: list[Row]) -> None:
    together = grow(columns(rows))
    for trace_id, nodes in together.items():
        alone = grow(columns([row for row in rows if row["trace"] == trace_id]))
        assert list(alone[trace_id]) == list(nodes)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 9), st.sampled_from(list(SpanKind)), st.none() | st.integers(0, 9)
        ),
        min_size=1,
        max_size=25,
    )
)
def test_usage_is_counted_once(drawn: list[tuple[int, SpanKind, int | None]]) -> None:
    """Exactly those count that no span below repeats, whatever the levels make of them."""
    parents = [max(place - up, 0) for place, (up, _, _) in enumerate(drawn)]
    rows = [
        span(place, parents[place] if place else None, kind.value, tokens=tokens)
        for place, (_, kind, tokens) in enumerate(drawn)
    ]
    covered: set[int] = set()
    for place in range(len(drawn) - 1, 0, -1):
        if drawn[place][2] is not None or place in covered:
            covered.add(parents[place])
    counted = [tokens for place, (_, _, tokens) in enumerate(drawn) if place not in covered]
    known = [tokens for tokens in counted if tokens is not None]
    assert tree(rows)[0].tokens == (sum(known) if known else None)


def test_a_chain_of_ten_thousand_spans_is_no_problem() -> None:
    nodes = tree(
        [span(n, n - 1 if n else None, "chain" if n % 2 else "tool") for n in range(10_000)]
    )
    assert len([node for node in nodes if node.span_id]) == 10_000


def test_a_flat_trace_gets_an_episode_with_steps() -> None:
    nodes = tree(
        [
            span(0, None, "agent", agent="desk", session="s1", task="refund order 7"),
            span(1, 0, "llm", tokens=10),
            span(2, 0, target="find_order", argument="7 B"),
            span(3, 0, target="refund"),
            span(4, 0, "llm", tokens=5),
        ]
    )
    assert outline(nodes) == [
        (0, "session s1"),
        (1, "desk: refund order 7"),
        (2, "find order 7 B, refund"),
        (3, "turn 1: find order 7 B, refund"),
        (4, "find order 7 B"),
        (4, "refund"),
        (3, "turn 2: answer"),
    ]
    assert nodes[0].tokens == 15
    assert (nodes[4].tool, nodes[4].kind, nodes[3].kind) == ("find_order", "tool", "llm")


def test_agents_below_agents_are_subgoals_also_through_tools() -> None:
    nodes = tree(
        [
            span(0, None, "agent", agent="lead"),
            span(1, 0, "llm"),
            span(2, 0, target="ask_helper"),
            span(3, 2, "agent", agent="helper"),
            span(4, 3, "llm"),
            span(5, 3, target="search"),
            span(6, 5, "other"),
        ]
    )
    helper = named(nodes, 3)
    assert (helper.level, helper.agent) == (Level.SUBGOAL, "helper")
    assert nodes[helper.parent].span_id == named(nodes, 2).span_id
    assert nodes[helper.parent].level is Level.SUBGOAL
    assert named(nodes, 5).level is Level.OPERATION
    assert (named(nodes, 6).level, named(nodes, 6).agent) == (Level.NESTED, "helper")


def test_agents_that_take_turns_on_one_level_have_episodes() -> None:
    nodes = tree(
        [
            span(n, None, "llm" if n % 2 else "tool", agent="ab"[n // 4 % 2], target="x")
            for n in range(1, 12)
        ]
    )
    assert [node.name for node in nodes if node.level is Level.SUBGOAL] == [
        "x",
        "b: x × 2",
        "x × 2",
    ]
    assert not any(node.parallel for node in nodes)


def test_agents_side_by_side_never_share_steps() -> None:
    """Two agents work at the same time on one level, each call begins while the other's runs."""
    nodes = tree(
        [
            span(
                n,
                None,
                ("llm", "llm", "tool", "tool")[n % 4],
                agent="ab"[n % 2],
                target="x",
                start_ns=n * S,
                end_ns=(n + 2) * S,
            )
            for n in range(1, 13)
        ]
    )
    goals = [node for node in nodes if node.level is Level.SUBGOAL]
    assert [(goal.agent, goal.parallel) for goal in goals] == [("b", True), ("a", True)]
    for node in nodes[1:]:
        if node.level > Level.SUBGOAL:
            assert node.agent == nodes[node.parent].agent


def test_agents_in_parallel_are_marked() -> None:
    nodes = tree(
        [
            span(0, None, "agent", agent="lead", end_ns=9 * S),
            span(1, 0, "agent", agent="one", end_ns=4 * S),
            span(2, 0, "agent", agent="two", end_ns=4 * S),
            span(4, 0, "agent", agent="three"),
        ]
    )
    assert [named(nodes, n).parallel for n in (0, 1, 2, 4)] == [False, True, True, False]


def test_after_a_handoff_the_agent_has_a_goal_of_its_own() -> None:
    nested = tree(
        [
            span(0, None, "chain"),
            span(1, 0, "agent", agent="Triage"),
            span(2, 1, "llm"),
            span(3, 1, handoff="refund_agent", target="transfer_to_refund_agent"),
            span(4, 0, "agent", agent="Refund Agent", task="Refund it."),
            span(5, 4, "llm"),
            span(6, 0, "agent", agent="Refund Agent"),
        ]
    )
    assert named(nested, 4).name == "handoff to refund_agent: Refund it."
    assert named(nested, 6).name == "Refund Agent"
    flat = tree(
        [
            span(0, None, "agent", agent="Triage"),
            span(1, 0, "llm"),
            span(2, 0, handoff="refund"),
            span(3, 0, "llm", agent="refund"),
            span(4, 0, target="pay"),
        ]
    )
    goals = [node for node in flat if node.level is Level.SUBGOAL]
    assert [goal.name for goal in goals] == ["span 2", "handoff to refund"]
    assert flat[-1].agent == "refund"


def test_a_plan_names_what_follows() -> None:
    def plan(number: int, doing: str) -> Row:
        items = [{"content": c, "status": "in_progress"} for c in (doing,) if doing]
        told = json.dumps({"todos": [{"content": "old", "status": "completed"}, *items]})
        return span(number, 0, target="TodoWrite", plan=told)

    nodes = tree(
        [
            span(0, None, "agent", agent="coder", task="Fix it"),
            span(1, 0, "llm"),
            plan(2, "Read the code"),
            span(3, 0, "llm"),
            span(4, 0, target="Read"),
            span(5, 0, "llm"),
            plan(6, "Write a test"),
            span(7, 0, target="Write"),
        ]
    )
    assert outline([node for node in nodes if node.level in (Level.SUBGOAL, Level.STEP)]) == [
        (2, "Read the code"),
        (3, "turn 1: todo write"),
        (3, "turn 2: read"),
        (2, "Write a test"),
        (3, "turn 3: todo write, write"),
    ]


@pytest.mark.parametrize(
    ("told", "item"),
    [
        ({"plan": [{"step": "Look", "status": "in_progress"}]}, "Look"),
        ({"todoList": [{"title": "Look", "status": "in-progress"}]}, "Look"),
        ([{"content": "Look", "status": "inProgress"}], "Look"),
        ({"todos": [{"content": "Look", "status": "pending"}]}, None),
        ({"todos": [{"content": 7, "status": "in_progress"}, "x"]}, None),
        ("todos", None),
    ],
)
def test_the_item_in_progress_of_known_plan_tools(told: object, item: str | None) -> None:
    assert names.plan_item(json.dumps(told)) == item


def test_each_question_of_a_conversation_is_an_episode() -> None:
    nodes = tree(
        [
            span(0, None, "agent", agent="desk", task="Hi! Cancel my flight to Ulm."),
            span(1, 0, "llm", task="Hi! Cancel my flight to Ulm."),
            span(2, 0, "llm", task="Oh, okay. My name is Ada Lovelace."),
            span(3, 0, target="find_user"),
            span(4, 0, "llm", task="the tool's answer is no question"),
            span(5, 0, "llm", task="Thank you very much."),
        ]
    )
    assert [node.name for node in nodes if node.level is Level.SUBGOAL] == [
        "Cancel my flight to Ulm.",
        "My name is Ada Lovelace.",
        "Thank you very much.",
    ]


@pytest.mark.parametrize("name", ["turn", "Step 3", "execute_event_loop_cycle", "custom.turn"])
def test_structure_around_one_model_call_is_its_turn(name: str) -> None:
    nodes = tree(
        [
            span(0, None, "agent", agent="a"),
            span(1, 0, "chain", name=name),
            span(2, 1, "llm"),
            span(3, 1, target="look"),
        ]
    )
    assert (named(nodes, 1).level, named(nodes, 1).name) == (Level.STEP, "turn 1: look")
    assert named(nodes, 2).level is Level.OPERATION


def test_spans_whose_parent_never_came_hang_below_the_root() -> None:
    nodes = tree([span(0, None, "agent", agent="a"), span(1, 0, "llm"), span(2, 99, "llm")])
    assert len([node for node in nodes if node.level is Level.RUN]) == 1
    assert nodes[1].span_id == f"{0:016x}"


def test_clocks_that_disagree_are_put_right_and_say_so() -> None:
    """The other service's clock is an hour ahead; what it calls itself moves with it."""
    hour = 3600 * S
    rows = [
        span(0, None, "agent", agent="a", start_ns=0, end_ns=10 * S),
        span(1, 0, "llm", start_ns=S, end_ns=2 * S),
        span(2, 0, target="far", start_ns=3 * S, end_ns=7 * S),
        span(3, 2, "other", service="bank", start_ns=hour + 4 * S, end_ns=hour + 6 * S),
        span(4, 3, "other", service="bank", start_ns=hour + 4 * S, end_ns=hour + 5 * S),
        span(5, 0, "llm", start_ns=8 * S, end_ns=9 * S),
    ]
    nodes = tree(rows)
    assert [named(nodes, n).shift_ns for n in range(6)] == [0, 0, 0, -hour, -hour, 0]
    assert (named(nodes, 3).start_ns, named(nodes, 3).end_ns) == (4 * S, 6 * S)
    assert nodes[0].end_ns == 10 * S
    queue = [*rows[:3], rows[3] | {"consumes": True}]
    assert named(tree(queue), 3).shift_ns == 0


def test_a_fault_made_good_is_recovered_up_to_the_top() -> None:
    nodes = tree(
        [
            span(0, None, "agent"),
            span(1, 0, "llm"),
            span(2, 0, target="fetch", failed=True),
            span(3, 0, "llm"),
            span(4, 0, target="fetch"),
        ]
    )
    assert named(nodes, 2).correctness is Verdict.RECOVERED
    assert nodes[0].correctness is Verdict.RECOVERED


def test_a_fault_at_the_end_is_bad_up_to_the_top() -> None:
    nodes = tree([span(0, None, "agent"), span(1, 0, "llm"), span(2, 0, failed=True)])
    assert {nodes[place].correctness for place in range(5)} == {Verdict.BAD}


@pytest.mark.parametrize(("beside_ns", "verdict"), [(4 * S, Verdict.RECOVERED), (S, Verdict.BAD)])
def test_only_what_begins_after_a_fault_makes_it_good(beside_ns: int, verdict: Verdict) -> None:
    nodes = tree(
        [
            span(0, None, "chain", start_ns=0, end_ns=9 * S),
            span(1, 0, "agent", agent="one", failed=True, start_ns=S, end_ns=3 * S),
            span(2, 0, "agent", agent="two", start_ns=beside_ns, end_ns=5 * S),
        ]
    )
    assert nodes[0].correctness is verdict


def test_the_tree_of_a_trace_in_a_view(traffic: Traffic) -> None:
    run = traffic.healthy(3).run(session="s 9").call("search", {"q": "Ulm"}, "x")
    with view_of(traffic.rows) as view:
        nodes = goal_tree(view, run.trace_id)
        assert not goal_tree(view, "0" * 32)
        trees = goal_trees(view, [run.trace_id for run in traffic.runs])
        assert {trace: list(nodes) for trace, nodes in trees.items()} == {
            TraceId(run.trace_id): list(goal_tree(view, run.trace_id)) for run in traffic.runs
        }
    assert nodes[0].name == "session s 9"
    assert [node.name for node in nodes if node.level is Level.OPERATION] == ["search Ulm"]
    assert nodes[-1] == nodes[len(nodes) - 1] == nodes[1:][-1]
    with pytest.raises(IndexError):
        nodes[len(nodes)]


def test_the_order_of_rows_does_not_matter(traffic: Traffic) -> None:
    rows = traffic.healthy(2).rows
    traces = [run.trace_id for run in traffic.runs]
    told = []
    for shuffled in (rows, rows[::-1], traffic.random.sample(rows, len(rows))):
        with view_of(shuffled) as view:
            told.append({t: list(nodes) for t, nodes in goal_trees(view, traces).items()})
    assert told[0] == told[1] == told[2]


def test_a_session_shows_its_traces_as_runs_side_by_side(traffic: Traffic) -> None:
    runs = [traffic.run(session=session).turn() for session in ("s", "other", "s", "s")]
    with view_of(traffic.rows) as view:
        nodes = session_tree(view, "s")
        assert not session_tree(view, "nobody")
        alone = [goal_tree(view, runs[place].trace_id) for place in (0, 2, 3)]
    traces = [node.trace_id for node in nodes if node.level is Level.RUN]
    assert traces == [runs[place].trace_id for place in (0, 2, 3)]
    assert nodes[0].name == "session s"
    assert nodes[0].tokens == 300
    assert [(n.name, n.trace_id) for n in nodes[1:]] == [
        (n.name, n.trace_id) for one in alone for n in one[1:]
    ]


def test_a_repeated_answer_is_suspect_work(traffic: Traffic) -> None:
    run = traffic.run().call("search", {"q": 1}, "x").call("search", {"q": 1}, "y")
    first = run.rows[2]["span_id"]
    run.call("search", {"q": 1}, "x").call("search", None, "x")
    with view_of(traffic.rows) as view:
        nodes = goal_tree(view, run.trace_id)
    calls = [node for node in nodes if node.kind is SpanKind.TOOL]
    assert calls[0].span_id == first
    assert [call.resources for call in calls] == [
        Verdict.OK,
        Verdict.OK,
        Verdict.SUSPECT,
        Verdict.UNKNOWN,
    ]
    assert nodes[0].resources is Verdict.SUSPECT


@pytest.mark.parametrize(
    ("ms", "peers", "verdict"),
    [
        (100, 40, Verdict.OK),
        (190, 40, Verdict.OK),
        (900, 40, Verdict.SUSPECT),
        (900, 20, Verdict.UNKNOWN),
    ],
)
def test_latency_is_judged_against_peers(
    traffic: Traffic, ms: int, peers: int, verdict: Verdict
) -> None:
    for number in range(peers):
        traffic.run().call("fetch", {"q": number}, "x", ms=100 + number % 3)
    run = traffic.run().call("fetch", {"q": -1}, "x", ms=ms)
    with view_of(traffic.rows) as view:
        nodes = goal_tree(view, run.trace_id)
    (call,) = [node for node in nodes if node.kind is SpanKind.TOOL]
    assert call.latency is verdict
    assert call.end_ns - call.start_ns == ms * MS


def test_unknown_tokens_and_costs_stay_unknown(traffic: Traffic) -> None:
    known = traffic.run().call("search", {"q": 1}, "x")
    unknown = traffic.run().call("search", {"q": 2}, "y")
    known.rows[1]["cost"] = 0.5
    for row in unknown.rows:
        row.update(input_tokens=None, output_tokens=None)
    with view_of(traffic.rows) as view:
        top = goal_tree(view, known.trace_id)[0]
        assert ((top.tokens or 0) > 0, top.cost) == (True, 0.5)
        top = goal_tree(view, unknown.trace_id)[0]
        assert (top.tokens, top.cost) == (None, None)
