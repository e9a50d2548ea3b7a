"""Tasks that lead to further tasks, as a list of work: no call stack grows with depth.

window ─▶ cluster ─▶ contrast pair ─▶ sub-goal
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar


class Task(Protocol):
    """Something to do once. `key` is its identity: the same task found twice is done once."""

    @property
    def key(self) -> str: ...

    @property
    def depth(self) -> int: ...


T = TypeVar("T", bound=Task)
R = TypeVar("R")


async def work_off(
    tasks: Iterable[T],
    do: Callable[[T], Awaitable[tuple[R, Sequence[T]]]],
    *,
    depth_max: int,
) -> list[tuple[T, R]]:
    """Do `tasks` and what they lead to, a level at a time, those of a level side by side.

    `do` gives a result and further tasks, which are dropped below `depth_max`. Results come in the order of
    levels and, within, of discovery, whatever finished first. What `do` raises first ends the work.
    """
    done: list[tuple[T, R]] = []
    known: set[str] = set()
    level = list(tasks)
    while level:
        fresh = []
        for task in level:
            if task.key not in known and task.depth <= depth_max:
                known.add(task.key)
                fresh.append(task)
        level = []
        try:
            async with asyncio.TaskGroup() as group:
                running = [(task, group.create_task(_done(do, task))) for task in fresh]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        for task, future in running:
            result, further = future.result()
            done.append((task, result))
            level.extend(further)
    return done


async def _done(
    do: Callable[[T], Awaitable[tuple[R, Sequence[T]]]], task: T
) -> tuple[R, Sequence[T]]:
    return await do(task)
