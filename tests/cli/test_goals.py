"""Goal trees on the terminal: aligned, bounded, and nothing twice that is once enough."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from halo_otel.cli import goals
from halo_otel.model.goal import GoalNode, Level, Verdict
from tests.cli.conftest import NODES

TOP, STEP = NODES[0], NODES[3]


def drawn(capsys: pytest.CaptureFixture[str], nodes: list[GoalNode], **how: int) -> list[str]:
    goals.draw(nodes, **how)  # type: ignore[arg-type]
    return capsys.readouterr().out.splitlines()


def steps(*names: str) -> list[GoalNode]:
    return [
        TOP,
        *(
            replace(
                STEP,
                index=n,
                parent=0,
                name=name,
                tokens=n,
                start_ns=n * 10**9,
                end_ns=(n + 1) * 10**9,
            )
            for n, name in enumerate(names, 1)
        ),
    ]


def test_likes_in_a_row_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = steps(*(f"turn {n}: search" for n in range(1, 49)), "turn 49: book", "turn 50: book")
    lines = drawn(capsys, nodes)
    assert len(lines) == 4
    assert lines[1].split("  ")[0] == "├─ turn: search × 48"
    assert "48.0 s" in lines[1]
    assert f"{sum(range(49)):,} tokens" in lines[1]
    assert lines[3].startswith("└─ turn 50: book")
    assert len(drawn(capsys, nodes, everything=True)) == len(nodes)


@pytest.mark.parametrize(
    "other",
    [
        {"name": "turn 2: book"},
        {"correctness": Verdict.OK},
        {"latency": Verdict.SUSPECT},
        {"agent": "other"},
    ],
)
def test_only_likes_are_one_line(
    capsys: pytest.CaptureFixture[str], other: dict[str, object]
) -> None:
    nodes = steps(*(f"turn {n}: search" for n in range(1, 4)))
    assert len(drawn(capsys, nodes)) == 2
    nodes[2] = replace(nodes[2], **other)  # type: ignore[arg-type]
    assert len(drawn(capsys, nodes)) == 4


def test_a_large_tree_is_cut_unless_all_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = steps(*(f"goal {chr(97 + n % 7)}" for n in range(2499)))
    goals.draw(nodes)
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == goals.LINES_MAX == 2000
    assert shown.err == "500 more goals are not shown: --all or --format json has them\n"
    assert len(drawn(capsys, nodes, everything=True)) == 2500


def test_a_deep_tree_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    chain = [
        replace(STEP, index=n, parent=n - 1, level=Level.NESTED, name=f"n{n}") for n in range(5000)
    ]
    lines = drawn(capsys, chain, depth=3)
    assert len(lines) == 3
    assert "… 4,997 below" in lines[2]
    assert len(drawn(capsys, chain)) == goals.DEPTH_MAX
    assert len(drawn(capsys, chain, everything=True)) == goals.DEPTH_OF_ALL_MAX


def test_what_else_is_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [TOP, replace(STEP, index=1, parent=0, cost=0.25, parallel=True, shift_ns=-3 * 10**9)]
    (line,) = drawn(capsys, nodes)[1:]
    assert "0.2500 USD" in line
    assert line.endswith("correctness bad  parallel  clock -3.0 s")


def test_a_long_name_is_clipped(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = drawn(capsys, [replace(STEP, index=0, parent=-1, name="n" * 1000, agent="a" * 1000)])
    assert "n" * 199 + "… (" + "a" * 199 + "…)" in line


@given(
    st.integers(20, 200),
    st.lists(st.text(max_size=90) | st.sampled_from(["搜索" * 40, "turn 1: x"]), max_size=12),
)
def test_figures_stand_in_columns_at_any_width(width: int, names: list[str]) -> None:
    outline = goals._Outline(steps(*names), goals.DEPTH_MAX, goals.REPEATS_MIN)
    texts = list(goals._aligned(list(outline.lines(goals.LINES_MAX)), width))
    assert outline.left_out == 0
    places = {cell_len(text.plain.rpartition(" s  ")[0]) for text in texts}
    assert len(places) == 1
    assert not any("\n" in text.plain for text in texts)
