"""HALO's six functions. Arguments and shapes: halo-engine 0.3.5, `engine/main.py`.

`messages` end with the user's question; `trace_paths` is a file, a directory, or several; `telemetry=True` writes
the run's own spans to a file (`--telemetry` of the command line), unless `llm.telemetry` names another place.
`settings` is what `EngineConfig` does not name; without it, the file of `HALO_CONFIG` and `HALO_…` variables.

All raise BadRequest, BadFile, ConfigError, and what the endpoint cannot do: Rejected, Unreachable, Unwritable.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from halo_otel.clock import SystemClock
from halo_otel.config.load import load_from_environment
from halo_otel.config.sections import Config
from halo_otel.engine.configuration import EngineConfig, configured
from halo_otel.engine.items import (
    AgentAnswer,
    AgentMessage,
    AgentOutputItem,
    EngineStreamEvent,
    Items,
    question_of,
)
from halo_otel.importers.files import BadLine
from halo_otel.recursion.progress import Event
from halo_otel.service.offline import OnProgress
from halo_otel.service.reasoning import analysed, deepened
from halo_otel.service.threads import in_thread
from halo_otel.service.tracing import unnamed_file

logger = logging.getLogger(__name__)

T = TypeVar("T")


class _Left(Exception):
    """Nobody listens any more."""


async def stream_engine_async(
    messages: Sequence[AgentMessage],
    engine_config: EngineConfig,
    trace_paths: Path | Sequence[Path],
    *,
    telemetry: bool = False,
    settings: Config | None = None,
) -> AsyncGenerator[EngineStreamEvent, None]:
    """Items and text deltas as they come; the last is the `AgentAnswer`."""
    question = question_of(messages, engine_config.dataset_context)
    base = settings
    if base is None:
        base = await asyncio.to_thread(load_from_environment, None)
    config = configured(engine_config, base)
    if telemetry and not config.llm.telemetry:
        to = {"telemetry": unnamed_file(SystemClock().now_ns())}
        config = config.model_copy(update={"llm": config.llm.model_copy(update=to)})
    paths = [trace_paths] if isinstance(trace_paths, Path) else list(trace_paths)
    items = Items(engine_config.root_agent.name, engine_config.subagent.name)
    queue: asyncio.Queue[EngineStreamEvent | None] = asyncio.Queue()
    left = threading.Event()

    def hear(event: Event) -> None:
        for item in items.of(event):
            queue.put_nowait(item)

    async def run() -> AgentAnswer:
        try:
            async with in_thread(analysed(paths, config, _reading(left), _skipped)) as files:
                return items.answer(question, await deepened(files, config, question, hear))
        finally:
            queue.put_nowait(None)

    # No TaskGroup: left at a `yield`, it would raise a group, and a failure would cancel the caller's task.
    task = asyncio.ensure_future(run())
    try:
        while (item := await queue.get()) is not None:
            yield item
        yield await task
    finally:
        left.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stream_engine_output_async(
    messages: Sequence[AgentMessage],
    engine_config: EngineConfig,
    trace_paths: Path | Sequence[Path],
    *,
    telemetry: bool = False,
    settings: Config | None = None,
) -> AsyncGenerator[AgentOutputItem, None]:
    """The items alone."""
    stream = stream_engine_async(
        messages, engine_config, trace_paths, telemetry=telemetry, settings=settings
    )
    async with aclosing(stream):
        async for event in stream:
            if isinstance(event, AgentOutputItem):
                yield event


async def run_engine_async(
    messages: Sequence[AgentMessage],
    engine_config: EngineConfig,
    trace_paths: Path | Sequence[Path],
    *,
    telemetry: bool = False,
    settings: Config | None = None,
) -> list[AgentOutputItem]:
    """All items, when it is over."""
    stream = stream_engine_output_async(
        messages, engine_config, trace_paths, telemetry=telemetry, settings=settings
    )
    async with aclosing(stream):
        return [item async for item in stream]


def stream_engine(
    messages: Sequence[AgentMessage],
    engine_config: EngineConfig,
    trace_paths: Path | Sequence[Path],
    *,
    telemetry: bool = False,
    settings: Config | None = None,
) -> Iterator[EngineStreamEvent]:
    """`stream_engine_async` without an event loop of the caller's; it works while it is asked for the next."""
    return _driven(
        stream_engine_async(
            messages, engine_config, trace_paths, telemetry=telemetry, settings=settings
        )
    )


def stream_engine_output(
    messages: Sequence[AgentMessage],
    engine_config: EngineConfig,
    trace_paths: Path | Sequence[Path],
    *,
    telemetry: bool = False,
    settings: Config | None = None,
) -> Iterator[AgentOutputItem]:
    """The items alone, without an event loop of the caller's."""
    return _driven(
        stream_engine_output_async(
            messages, engine_config, trace_paths, telemetry=telemetry, settings=settings
        )
    )


def run_engine(
    messages: Sequence[AgentMessage],
    engine_config: EngineConfig,
    trace_paths: Path | Sequence[Path],
    *,
    telemetry: bool = False,
    settings: Config | None = None,
) -> list[AgentOutputItem]:
    """All items, without an event loop of the caller's."""
    return asyncio.run(
        run_engine_async(
            messages, engine_config, trace_paths, telemetry=telemetry, settings=settings
        )
    )


def _driven(stream: AsyncGenerator[T, None]) -> Iterator[T]:
    """`stream` on a loop of its own, which is closed, with its threads, however this is left."""

    async def step() -> T | None:
        return await anext(stream, None)

    async def close() -> None:
        await stream.aclose()

    with asyncio.Runner() as runner:
        try:
            while (item := runner.run(step())) is not None:
                yield item
        finally:
            runner.run(close())


def _reading(left: threading.Event) -> OnProgress:
    """Ends reading, in its thread, once nobody listens."""

    def tell(read: int) -> None:
        if left.is_set():
            raise _Left

    return tell


def _skipped(bad: BadLine) -> None:
    logger.warning("%s:%s: skipped: %s", bad.path, bad.number, bad.why)
