"""Trees of tasks, done from the leaves up."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.errors import Rejected
from halo_otel.recursion.worklist import work_off


@dataclass
class Tree:
    value: int
    below: list["Tree"] = field(default_factory=list)


TREES = st.recursive(
    st.builds(Tree, st.integers(0, 99)),
    lambda inner: st.builds(Tree, st.integers(0, 99), st.lists(inner, max_size=4)),
    max_leaves=20,
)


async def below(task: Tree) -> Sequence[Tree]:
    return task.below


def total(tree: Tree, depth: int) -> int:
    return tree.value + sum(total(one, depth - 1) for one in tree.below if depth)


@given(TREES, st.integers(0, 4))
def test_each_task_comes_to_what_is_below_it(tree: Tree, depth_max: int) -> None:
    async def do(task: Tree, results: Sequence[int]) -> int:
        return task.value + sum(results)

    assert asyncio.run(work_off(tree, below, do, depth_max=depth_max)) == total(tree, depth_max)


def test_depth_needs_no_stack() -> None:
    async def expand(task: int) -> Sequence[int]:
        return [task + 1]

    async def do(task: int, results: Sequence[int]) -> int:
        return 1 + sum(results)

    assert asyncio.run(work_off(0, expand, do, depth_max=5_000)) == 5_001


def test_those_side_by_side_run_side_by_side() -> None:
    """Each of them waits for the other one to have begun."""
    begun: list[int] = []
    both = asyncio.Event()

    async def do(task: Tree, results: Sequence[int]) -> int:
        if not task.below:
            begun.append(task.value)
            if len(begun) == 2:
                both.set()
            await both.wait()
        return task.value

    assert asyncio.run(work_off(Tree(0, [Tree(1), Tree(2)]), below, do, depth_max=1)) == 0
    assert begun == [1, 2]


def test_what_a_task_raises_ends_the_work() -> None:
    async def do(task: Tree, results: Sequence[int]) -> int:
        if task.value == 2:
            raise Rejected("no")
        await asyncio.Event().wait()  # for ever
        return 0

    with pytest.raises(Rejected, match="no"):
        asyncio.run(work_off(Tree(0, [Tree(1), Tree(2)]), below, do, depth_max=1))
