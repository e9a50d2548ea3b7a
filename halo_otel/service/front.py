"""The front process: receive, journal, acknowledge; and keep the engine running behind."""

import asyncio
import logging
import re
import signal
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from halo_otel.clock import NS_PER_S, Clock, SystemClock
from halo_otel.config.sections import Config
from halo_otel.control.proxy import SERVICE_NAME, pass_through
from halo_otel.errors import ConfigError
from halo_otel.journal import Journal
from halo_otel.receiver.grpc_server import GrpcServer
from halo_otel.receiver.http_server import HttpServer
from halo_otel.receiver.intake import Intake
from halo_otel.receiver.web import WebServer
from halo_otel.selfobs import Counters, Reading
from halo_otel.service import logs
from halo_otel.service.child import EngineChild
from halo_otel.service.link import Message, reason

logger = logging.getLogger(__name__)

COUNTERS_INTERVAL_S = 1.0
# The engine tells its counters every second, whatever else it does; after so long it hangs.
SILENCE_S_MAX = 10.0
# sockaddr_un holds 108 bytes with the closing zero (unix(7)).
UNIX_PATH_BYTES_MAX = 107
# gRPC reads a target as a URI, so other characters would have to be escaped, and by whom it does
# not say (grpc/doc/naming.md).
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")


class _Stopped(Exception):
    """A signal asked us to stop; ends the task group."""


class Front:
    """Everything between a sender and its acknowledgement, and the link to the engine.

    start: engine process, journal, web, gRPC, HTTP      stop: the other way round

    The engine imports while the journal is recovered, and is told to begin when the journal's lock
    says that the storage is ours.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._counters = Counters()
        self._engine_counters: tuple[Reading, ...] = ()
        self._engine_ready = asyncio.Event()
        self._engine_told_ns = 0
        self._stop = asyncio.Event()
        self._journal = Journal(config.journal_directory, config.journal, clock, self._counters)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises the HaloError that ended the service otherwise."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        _make_storage(self._config.storage.directory)
        async with AsyncExitStack() as stack:
            socket = _control_socket(stack, self._config.storage.directory)
            engine = EngineChild(self._on_message)
            stack.push_async_callback(engine.stop)
            await engine.start()
            journal = await stack.enter_async_context(self._journal)
            _remove_leftover(socket)
            target = f"unix:{socket}"
            engine.send(Message(config=self._config.model_dump(mode="json"), control_target=target))
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(engine.run())
                    tasks.create_task(journal.run())
                    tasks.create_task(self._tell_durable(engine))
                    tasks.create_task(self._tell_counters(engine))
                    tasks.create_task(self._serve(journal, target))
            except* _Stopped:
                logger.info("stopping")
            finally:
                engine.send(Message(durable=journal.durable_offset))

    async def _serve(self, journal: Journal, control_target: str) -> None:
        """Listen until a signal comes; then let requests in flight finish."""
        otlp = self._config.receivers.otlp
        intake = Intake(journal, otlp, self._counters)
        proxy = pass_through(control_target)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(proxy.close)
            web = WebServer(self._config.web, not_ready=self._not_ready, readings=self._readings)
            await stack.enter_async_context(web)
            grpc = GrpcServer(
                otlp.protocols.grpc, intake, handlers=[proxy], services=[SERVICE_NAME]
            )
            await stack.enter_async_context(grpc)
            http = await stack.enter_async_context(HttpServer(otlp.protocols.http, intake))
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

    async def _tell_durable(self, engine: EngineChild) -> None:
        """Tell the engine how far the journal is durable, at once and whenever it has grown."""
        grown = asyncio.Event()
        grown.set()
        self._journal.on_durable(lambda _offset: grown.set())
        while True:
            await grown.wait()
            grown.clear()
            engine.send(Message(durable=self._journal.durable_offset))

    async def _tell_counters(self, engine: EngineChild) -> None:
        while True:
            engine.send(Message(counters=tuple(self._counters.snapshot())))
            await self._clock.sleep(COUNTERS_INTERVAL_S)

    def _on_message(self, message: Message) -> None:
        self._engine_told_ns = self._clock.now_ns()
        if message.ready:
            self._engine_ready.set()
            logger.info("ready")
        if message.checkpoint is not None:
            self._journal.checkpoint(message.checkpoint)
        if message.counters is not None:
            self._engine_counters = message.counters

    def _not_ready(self) -> str | None:
        if self._stop.is_set():
            return "stopping"
        if not self._engine_ready.is_set():
            return "the engine is starting"
        if self._journal.full:
            return "the journal is full"
        silent_s = (self._clock.now_ns() - self._engine_told_ns) / NS_PER_S
        if silent_s > SILENCE_S_MAX:
            return f"the engine has not answered for {silent_s:.0f} s"
        return None

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
    logs.configure("front", config.telemetry.log_level)
    try:
        asyncio.run(Front(config, SystemClock()).run())
    except BaseExceptionGroup as group:
        raise reason(group) from group
    return 0
