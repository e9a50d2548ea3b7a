"""Who may come in through one server: its TLS, its tokens, and both again when they are rotated."""

import asyncio
import logging
from types import TracebackType
from typing import Final, Protocol, get_args

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.config.transport import Listener
from halo_otel.errors import ConfigError
from halo_otel.receiver.identity import Identity
from halo_otel.receiver.tokens import Refusal, Tokens
from halo_otel.selfobs import Counters

logger = logging.getLogger(__name__)

# A sender with a wrong token sends as often as one with a right one.
_QUIET_NS: Final = 60 * NS_PER_S


class _Files(Protocol):
    def read(self) -> None: ...


class Door:
    """What stands before the server at `config.endpoint`. Async context manager; stop is safe twice.

    Entering reads the files and raises ConfigError, naming a key below `key`, if they are no good.
    A rotation that is no good is counted and logged, and what was there before stays.
    """

    def __init__(
        self, config: Listener, key: str, transport: str, counters: Counters, clock: Clock
    ) -> None:
        self.config = config
        self.key = key
        self._transport = transport
        self._counters = counters
        self._clock = clock
        tls, tokens_file = config.tls, config.auth.tokens_file
        self.identity = Identity(tls, f"{key}.tls") if tls.cert_file else None
        self._tokens = Tokens(tokens_file, f"{key}.auth.tokens_file") if tokens_file else None
        self._told_ns: int | None = None
        self._tasks = asyncio.TaskGroup()
        self._keeping: list[asyncio.Task[None]] | None = None

    @property
    def asks(self) -> bool:
        """Whether a token is asked for."""
        return self._tokens is not None

    async def __aenter__(self) -> "Door":
        files: list[tuple[_Files, float]] = []
        if self.identity is not None:
            files.append((self.identity, self.config.tls.reload_interval))
        if self._tokens is not None:
            files.append((self._tokens, self.config.auth.reload_interval))
        for part, _ in files:
            await asyncio.to_thread(part.read)
        self._tell_expiry()
        self._counters.add("halo.receiver.failed_reloads", 0, transport=self._transport)
        if self._tokens is not None:
            for reason in get_args(Refusal):
                self._count_refusal(reason, 0)
        await self._tasks.__aenter__()
        self._keeping = [self._tasks.create_task(self._keep(*part)) for part in files]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        tasks, self._keeping = self._keeping, None
        if tasks is None:
            return
        for task in tasks:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    def refusal(self, authorization: str | None) -> str | None:
        """Why a request with this `Authorization` header may not come in; None if it may."""
        reason = None if self._tokens is None else self._tokens.refusal(authorization)
        if reason is None:
            return None
        self._count_refusal(reason)
        now_ns = self._clock.now_ns()
        if self._told_ns is None or now_ns - self._told_ns >= _QUIET_NS:
            self._told_ns = now_ns
            logger.warning(
                "a request over %s was refused: its bearer token is %s. Senders drop what is refused so;"
                " see halo.receiver.unauthenticated_requests for how many",
                self._transport,
                reason,
            )
        return f"the bearer token is {reason}: send one of those in {self.key}.auth.tokens_file"

    def _count_refusal(self, reason: Refusal, count: int = 1) -> None:
        self._counters.add(
            "halo.receiver.unauthenticated_requests",
            count,
            transport=self._transport,
            reason=reason,
        )

    def count_closed(self, reason: str) -> None:
        """Count a connection that we ended."""
        self._counters.add(
            "halo.receiver.closed_connections", transport=self._transport, reason=reason
        )

    async def _keep(self, part: _Files, interval_s: float) -> None:
        """Read `part` again every `interval_s`, for ever."""
        while True:
            await self._clock.sleep(interval_s)
            try:
                await asyncio.to_thread(part.read)
            except ConfigError as error:
                self._counters.add("halo.receiver.failed_reloads", transport=self._transport)
                logger.warning("%s; what was there before stays in use", error)
            self._tell_expiry()

    def _tell_expiry(self) -> None:
        if self.identity is not None:
            name, expires_s = "halo.receiver.certificate_expiry_seconds", self.identity.expires_s
            self._counters.set(name, expires_s, transport=self._transport)
