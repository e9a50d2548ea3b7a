"""Work on a tree of tasks, from the leaves up, without a call stack that grows with its depth.

window ─▶ cluster ─▶ sub-goal ─▶ group of steps
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def work_off(
    root: T,
    expand: Callable[[T], Awaitable[Sequence[T]]],
    do: Callable[[T, Sequence[R]], Coroutine[Any, Any, R]],
    *,
    depth_max: int,
) -> R:
    """What `root` comes to: each task is done with what those came to that `expand` names below it.

    Tasks that do not wait for each other run side by side, the deepest and among these the first found
    first; nothing is deeper than `depth_max` below the root. What a task raises first ends the work.
    """
    tasks, depths = [root], [0]
    below: list[Sequence[int]] = []
    for place, task in enumerate(tasks):  # grows as it goes
        found = await expand(task) if depths[place] < depth_max else ()
        below.append(range(len(tasks), len(tasks) + len(found)))
        tasks += found
        depths += [depths[place] + 1] * len(found)
    running: dict[int, asyncio.Task[R]] = {}

    async def done(place: int) -> R:
        return await do(tasks[place], [await running[each] for each in below[place]])

    try:
        async with asyncio.TaskGroup() as group:
            for place in sorted(range(len(tasks)), key=lambda place: (-depths[place], place)):
                running[place] = group.create_task(done(place))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return running[0].result()
