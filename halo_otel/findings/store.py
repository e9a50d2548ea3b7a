"""The database under the registry: SQLite or PostgreSQL, opened, locked and migrated the same way.

Writing transactions run one after the other, over all processes and replicas: SQLite takes its
write lock at the start (`BEGIN IMMEDIATE`), PostgreSQL an advisory lock. Runs are few per minute, so
this costs nothing, and it makes read-then-write safe without dialect-specific upserts and lets the
sequence of transitions follow the order of commits.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from halo_otel.errors import ConfigError, HaloError, StateDamaged, Unreachable
from halo_otel.findings.migrations import MIGRATIONS

_BUSY_TIMEOUT_MS: Final = 30_000  # how long SQLite waits for another process's transaction
# Each failed attempt waits for the process that made it fail.
_WAL_ATTEMPTS_MAX: Final = 20
_ADVISORY_LOCK: Final = 0x68616C6F  # "halo": any number will do, if only we use it
_WRITES: Final = "halo_writes"
# What SQLite says of a damaged file and of one without our tables, which it calls operational.
_DAMAGE: Final = ("malformed", "not a database", "no such table", "no such column")


class Store:
    """One database; `reading` and `writing` give a connection with an open transaction."""

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self._engine: Engine | None = None

    def open(self) -> None:
        """Connect and bring the schema up to date; safe when several processes do it at once.

        Raises `ConfigError` for an unknown database or a missing driver, `StateDamaged` for a file
        that cannot be read or was written by a newer version, `Unreachable` for a silent server.
        """
        if self._engine is not None:
            return
        self._engine = self._connected()
        try:
            for number, migration in enumerate(MIGRATIONS, start=1):
                with self.writing() as connection:
                    if self._version(connection) < number:
                        migration(connection)
                        connection.execute(
                            sa.text(
                                "INSERT INTO migrations (number, name) VALUES (:number, :name)"
                            ),
                            {"number": number, "name": migration.__name__},
                        )
        except HaloError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that no other writer overlaps; committed unless an exception leaves it."""
        with self._transaction(writes=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        assert self._engine is not None, "open() first"
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(**{_WRITES: writes})
                with connection.begin():
                    yield connection
        except (DBAPIError, PoolTimeout) as error:
            if isinstance(error, (IntegrityError, DataError)):
                raise  # our own mistake
            raise self._explained(error) from error

    def _connected(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            if self._url.database:
                _make_directory(Path(self._url.database).parent)
            engine = sa.create_engine(self._url)
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        try:
            return sa.create_engine(self._url, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise ConfigError(
                "registry.url: PostgreSQL needs its driver: pip install 'halo-otel[postgres]'"
            ) from error

    def _version(self, connection: Connection) -> int:
        connection.execute(
            sa.text(
                "CREATE TABLE IF NOT EXISTS migrations"
                " (number INTEGER PRIMARY KEY, name TEXT NOT NULL)"
            )
        )
        version = connection.execute(sa.text("SELECT max(number) FROM migrations")).scalar() or 0
        if version > len(MIGRATIONS):
            raise StateDamaged(
                f"the registry {self._name} has schema {version}, this version of halo-otel knows"
                f" {len(MIGRATIONS)}: install the newer version again, or set registry.url to"
                " another database"
            )
        return int(version)

    @property
    def _name(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def _explained(self, error: DBAPIError | PoolTimeout) -> HaloError:
        # PostgreSQL explains itself in several lines.
        why = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
        if isinstance(error, ProgrammingError) or any(mark in why for mark in _DAMAGE):
            return StateDamaged(
                f"the registry {self._name} cannot be read ({why}): restore it from a backup, or"
                " move it away to begin with an empty one"
            )
        return Unreachable(
            f"the registry {self._name} does not answer ({why}): check registry.url and that the"
            " database runs"
        )


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"registry.url: cannot create {directory} ({error.strerror}): choose a directory this"
            " user may write to"
        ) from error


def _parsed(url: str) -> URL:
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "registry.url is not a database URL: write sqlite:///PATH or"
            " postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from error
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigError(
            f"registry.url: {parsed.drivername!r} is not supported: use sqlite or postgresql"
        )
    return parsed


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says so
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    for attempt in range(1, _WAL_ATTEMPTS_MAX + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            # Processes that open a new file at once: the switch does not honour the busy timeout
            # (sqlite.org/wal.html), a write lock does, and it comes free when the other is done.
            if attempt == _WAL_ATTEMPTS_MAX:
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
