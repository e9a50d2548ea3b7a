"""Contexts that must not be entered on the event loop, because they wait for files or DuckDB."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def in_thread(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """`context`, entered and left in a thread. Cancelled while it is entered, it is left once it is: a thread
    cannot be stopped, and what it made must not stay."""
    stack = ExitStack()
    entering = asyncio.ensure_future(asyncio.to_thread(stack.enter_context, context))
    try:
        yield await asyncio.shield(entering)
    finally:
        await asyncio.gather(entering, return_exceptions=True)
        await asyncio.to_thread(stack.close)
