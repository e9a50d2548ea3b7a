"""Contexts entered in threads are left, whatever happens meanwhile."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from halo_otel.service.threads import in_thread


class Slow:
    """A context that is entered once it may be."""

    def __init__(self) -> None:
        self.entering = threading.Event()
        self.go_on = threading.Event()
        self.left_in: list[str] = []

    @contextmanager
    def context(self) -> Iterator[int]:
        self.entering.set()
        assert self.go_on.wait(20)
        try:
            yield 7
        finally:
            self.left_in.append(threading.current_thread().name)


async def test_it_is_entered_and_left_off_the_loop() -> None:
    slow = Slow()
    slow.go_on.set()
    async with in_thread(slow.context()) as value:
        assert value == 7
    assert slow.left_in != [threading.current_thread().name]
    assert len(slow.left_in) == 1


async def test_cancelled_while_it_is_entered_it_is_left() -> None:
    slow = Slow()

    async def use() -> None:
        async with in_thread(slow.context()):
            raise AssertionError("it was cancelled before")

    task = asyncio.ensure_future(use())
    await asyncio.to_thread(slow.entering.wait, 20)
    task.cancel()
    await asyncio.sleep(0)
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(slow.left_in) == 1


class Broken(AbstractContextManager[None]):
    def __enter__(self) -> None:
        raise ValueError("no")

    def __exit__(self, *error: object) -> None: ...


async def test_what_cannot_be_entered_is_an_error() -> None:
    with pytest.raises(ValueError, match="no"):
        async with in_thread(Broken()):
            pass
