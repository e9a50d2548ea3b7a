"""The front process: receive, journal, acknowledge; and keep the engine running behind."""

import asyncio
import logging
import os
import re
import resource
import signal
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from halo_otel import __version__
from halo_otel.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock, offset_ns
from halo_otel.config import machine
from halo_otel.config.sections import Config
from halo_otel.control.proxy import SERVICE_NAME, pass_through
from halo_otel.errors import ConfigError
from halo_otel.journal import Journal
from halo_otel.receiver.grpc_server import GrpcServer
from halo_otel.receiver.http_server import HttpServer
from halo_otel.receiver.intake import Intake
from halo_otel.receiver.memory import Memory, used_by
from halo_otel.receiver.web import WebServer
from halo_otel.selfobs import Counters, Reading
from halo_otel.service import logs
from halo_otel.service.keeper import Keeper
from halo_otel.service.link import Message, reason
from halo_otel.service.process import Process

logger = logging.getLogger(__name__)

COUNTERS_INTERVAL_S = 1.0
# The engine tells its counters every second, whatever else it does; after so long it hangs.
SILENCE_S_MAX = 10.0
# sockaddr_un holds 108 bytes with the closing zero (unix(7)).
UNIX_PATH_BYTES_MAX = 107
# gRPC reads a target as a URI, so other characters would have to be escaped, and by whom it does
# not say (grpc/doc/naming.md).
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")


# localhost is two addresses, and gRPC counts connections for each.
_ADDRESSES = 2
# Journal, sockets, pipes, libraries, with room to spare.
_OTHER_FILES = 256


class _Stopped(Exception):
    """A signal asked us to stop; ends the task group."""


class Front:
    """Everything between a sender and its acknowledgement, and the link to the engine.

    start: engine process, journal, web, gRPC, HTTP      stop: the other way round

    The engine imports while the journal is recovered, and is told to begin when the journal's lock
    says that the storage is ours.
    """

    def __init__(self, config: Config, clock: Clock, counters: Counters) -> None:
        self._config = config
        self._clock = clock
        self._counters = counters
        self._process = Process("front", clock, self._counters)
        self._engine = Keeper(self._on_message, clock, self._counters)
        self._engine_counters: tuple[Reading, ...] = ()
        self._engine_told_ns = 0
        self._stop = asyncio.Event()
        self._journal = Journal(config.journal_directory, config.journal, clock, self._counters)
        self._memory = Memory(
            config.memory_limiter, self._counters, clock, self._used_bytes, machine.cgroup()
        )

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises the HaloError that ended the service otherwise."""
        _make_storage(self._config.storage.directory)
        _allow_files(self._config)
        _compare_memory(self._config)
        async with AsyncExitStack() as stack:
            socket = _control_socket(stack, self._config.storage.directory)
            engine = self._engine
            self._obey_signals()
            stack.push_async_callback(engine.stop)
            await engine.start()
            journal = await stack.enter_async_context(self._journal)
            target = f"unix:{socket}"
            config = self._config.model_dump(mode="json")
            first = Message(
                config=config, control_target=target, arrival_ns=self._clock.arrival_ns()
            )
            engine.begin(first, partial(_remove_leftover, socket))
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(engine.run())
                    tasks.create_task(engine.watch(self._config.window.stall_timeout))
                    tasks.create_task(journal.run())
                    tasks.create_task(self._memory.run())
                    tasks.create_task(self._tell_durable())
                    tasks.create_task(self._tell_counters())
                    tasks.create_task(self._serve(journal, target))
            except* _Stopped:
                logger.info("stopping")
            finally:
                engine.tell_durable(journal.durable_offset)

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        """Stop in good order; when asked a second time, at once: that is as safe as a crash."""
        if self._stop.is_set():
            logger.warning("asked again to stop: ending at once")
            self._engine.kill()
            os._exit(128 + number)  # as a shell tells of a process that a signal ended
        self._stop.set()

    async def _serve(self, journal: Journal, control_target: str) -> None:
        """Listen until a signal comes; then let requests in flight finish."""
        otlp = self._config.receivers.otlp
        self._counters.set("halo.build.info", 1, version=__version__)
        self._counters.set("halo.journal.capacity_bytes", self._config.journal.max_bytes)
        intake = Intake(journal, otlp, self._counters, self._memory)
        proxy = pass_through(control_target)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(proxy.close)
            counters, clock = self._counters, self._clock
            web = WebServer(
                self._config.web,
                not_ready=self._not_ready,
                readings=self._readings,
                counters=counters,
                clock=clock,
            )
            await stack.enter_async_context(web)
            grpc = GrpcServer(
                otlp.protocols.grpc,
                intake,
                counters,
                clock,
                handlers=[proxy],
                services=[SERVICE_NAME],
            )
            await stack.enter_async_context(grpc)
            http = HttpServer(otlp.protocols.http, intake, counters, clock)
            await stack.enter_async_context(http)
            logger.info(
                "receiving OTLP/gRPC on port %d and OTLP/HTTP on port %d; health on port %d",
                grpc.port,
                http.port,
                web.port,
            )
            await self._stop.wait()
            intake.drain()
            await grpc.drain()
        raise _Stopped

    async def _tell_durable(self) -> None:
        """Tell the engine how far the journal is durable, at once and whenever it has grown."""
        grown = asyncio.Event()
        grown.set()
        self._journal.on_durable(lambda _offset: grown.set())
        while True:
            await grown.wait()
            grown.clear()
            self._engine.tell_durable(self._journal.durable_offset)

    async def _tell_counters(self) -> None:
        while True:
            # Asked for each second, so that a wall's clock that is set is noticed (`clock.Following`).
            offset_ms = round(offset_ns(self._clock) / NS_PER_MS)
            self._counters.set("halo.clock.offset_seconds", offset_ms / 1000)
            await asyncio.to_thread(self._process.measure)
            counters = tuple(self._counters.snapshot())
            self._engine.send(Message(counters=counters, arrival_ns=self._clock.arrival_ns()))
            await self._clock.sleep(COUNTERS_INTERVAL_S)

    def _on_message(self, message: Message) -> None:
        self._engine_told_ns = self._clock.arrival_ns()
        if message.ready:
            logger.info("ready")
        if message.checkpoint is not None:
            self._journal.checkpoint(message.checkpoint)
        if message.counters is not None:
            self._engine_counters = message.counters

    def _not_ready(self) -> str | None:
        if self._stop.is_set():
            return "stopping"
        if (missing := self._engine.missing) is not None:
            return missing
        if self._journal.full:
            return "the journal is full"
        if self._memory.refusing is not None:
            return self._memory.refusing
        silent_s = (self._clock.arrival_ns() - self._engine_told_ns) / NS_PER_S
        if silent_s > SILENCE_S_MAX:
            return f"the engine has not answered for {silent_s:.0f} s"
        return None

    def _used_bytes(self) -> int:
        """The memory of both processes."""
        engine = self._engine.pid
        return used_by(() if engine is None else (engine,))

    def _readings(self) -> list[Reading]:
        """The counters of both processes."""
        return [*self._counters.snapshot(), *self._engine_counters]


def _make_storage(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"storage.directory: cannot create {directory} ({error.strerror}): choose a directory "
            "this user may write to"
        ) from error


def _allow_files(config: Config) -> None:
    """As many open files as the system lets us have: connections must not take those of the journal.

    The soft limit is 1024 almost everywhere, for programs that use select(2); ours do not.
    """
    protocols = config.receivers.otlp.protocols
    connections = (
        _ADDRESSES * protocols.grpc.max_connections
        + protocols.http.max_connections
        + config.web.max_connections
    )
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        logger.warning(
            "this process may open %d files, and %d connections are allowed: raise the limit (ulimit -n),"
            " or lower the max_connections of receivers.otlp.protocols and web",
            most,
            connections,
        )


def _compare_memory(config: Config) -> None:
    """Say so if DuckDB may use nearly all that the service may have: then requests would be refused for good."""
    most, limit = config.window.memory_bytes, config.memory_limiter.limit_bytes
    if most > limit // 2:
        logger.warning(
            "window.memory_limit lets DuckDB have %d MiB, and memory_limiter the whole service %d MiB:"
            " lower the one to half of the other, or give the service more",
            most >> 20,
            limit >> 20,
        )


def _control_socket(stack: AsyncExitStack, directory: Path) -> Path:
    """Where the engine serves the control API: a socket only this user can reach."""
    path = directory.absolute() / "control.sock"
    if len(bytes(path)) <= UNIX_PATH_BYTES_MAX and _PLAIN_PATH.fullmatch(str(path)):
        return path
    try:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="halo-"))
    except OSError as error:
        raise ConfigError(
            f"storage.directory: {directory} cannot hold a socket, and there is no temporary"
            f" directory ({error.strerror}): choose a short path of plain letters"
        ) from error
    return Path(scratch) / path.name


def _remove_leftover(socket: Path) -> None:
    """Remove what a killed predecessor left; call this only while the journal's lock is held."""
    try:
        socket.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"storage.directory: cannot replace {socket} ({error.strerror}): remove it, or choose a"
            " directory this user may write to"
        ) from error


def serve(config: Config) -> int:
    """Run the service in this process until a signal stops it; the exit code.

    Raises the HaloError that ended it otherwise.
    """
    clock = SystemClock()
    counters = Counters(clock.now_ns())
    counters.begin()
    logs.configure("front", config.telemetry, counters)
    try:
        asyncio.run(Front(config, clock, counters).run())
    except BaseExceptionGroup as group:
        raise reason(group) from group
    return 0
