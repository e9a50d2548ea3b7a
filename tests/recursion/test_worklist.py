"""Tasks and what they lead to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.errors import Rejected
from halo_otel.recursion.worklist import work_off


@dataclass(frozen=True)
class Node:
    key: str
    depth: int = 0


@given(st.dictionaries(st.integers(0, 20), st.lists(st.integers(0, 20), max_size=4), max_size=20))
def test_each_task_is_done_once_whatever_leads_to_it(leads: dict[int, list[int]]) -> None:
    done: list[str] = []

    async def do(task: Node) -> tuple[int, Sequence[Node]]:
        done.append(task.key)
        return task.depth, [Node(str(n), task.depth + 1) for n in leads.get(int(task.key), ())]

    results = asyncio.run(work_off([Node("0"), Node("0")], do, depth_max=3))
    assert sorted(done) == sorted(set(done))
    assert [task.key for task, _ in results] == done
    assert all(depth <= 3 for _, depth in results)
    depths = [depth for _, depth in results]
    assert depths == sorted(depths)


def test_depth_needs_no_stack() -> None:
    async def do(task: Node) -> tuple[None, Sequence[Node]]:
        return None, [Node(str(task.depth + 1), task.depth + 1)]

    assert len(asyncio.run(work_off([Node("0")], do, depth_max=5_000))) == 5_001


def test_what_a_task_raises_ends_the_work() -> None:
    async def do(task: Node) -> tuple[None, Sequence[Node]]:
        raise Rejected("no")

    with pytest.raises(Rejected, match="no"):
        asyncio.run(work_off([Node("0"), Node("1")], do, depth_max=1))
