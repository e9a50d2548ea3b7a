"""The database under the registry: SQLite or PostgreSQL, opened, locked and migrated the same way.

Writing transactions run one after the other, over all processes and replicas: SQLite takes its
write lock at the start (`BEGIN IMMEDIATE`), PostgreSQL an advisory lock. Runs are few per minute, so
this costs nothing, and it makes read-then-write safe without dialect-specific upserts and lets the
sequence of transitions follow the order of commits. The lock is the first thing a transaction takes, so
there is nothing to deadlock on and no serialization failure to try again.
"""

import errno
import re
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

from halo_otel.errors import ConfigError, HaloError, StateDamaged, Unreachable, Unwritable
from halo_otel.findings.migrations import MIGRATIONS

_BUSY_TIMEOUT_MS: Final = 30_000  # how long SQLite waits for another process's transaction
# Each failed attempt waits for the process that made it fail.
_WAL_ATTEMPTS_MAX: Final = 20
_ADVISORY_LOCK: Final = 0x68616C6F  # "halo": any number will do, if only we use it
_WRITES: Final = "halo_writes"
# A replica that stands still in the midst of a transaction, or whose host is gone, holds up all others no
# longer than this: waiting is limited as on SQLite, and the server ends what has been idle for twice as long.
_TIMEOUTS: Final = sa.select(
    sa.func.set_config("lock_timeout", f"{_BUSY_TIMEOUT_MS}ms", True),
    sa.func.set_config("idle_in_transaction_session_timeout", f"{2 * _BUSY_TIMEOUT_MS}ms", True),
)
# What libpq is told unless the URL says otherwise: by itself it waits for a silent host for hours
# (postgresql.org/docs/current/libpq-connect.html).
_LIBPQ: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "halo-otel",
}
_FORBIDDEN: Final = (
    "42501"  # insufficient_privilege (postgresql.org/docs/current/errcodes-appendix.html)
)
# By what the server says as a client logs in, which has no code.
_CURES: Final = (
    ("database .* does not exist", "create the database, or check its name in registry.url"),
    (
        "role .* does not exist|authentication failed|no password supplied|pg_hba",
        "check user and password in registry.url, and whom the server admits (pg_hba.conf)",
    ),
    (
        "readonly database|read-only transaction",
        "let this user write to it, or name the server that takes writes in registry.url",
    ),
)
_CURE: Final = "check registry.url and that the database runs"
# What SQLite says of a damaged file and of one without our tables, which it calls operational.
_DAMAGE: Final = ("malformed", "not a database", "no such table", "no such column")


class RegistryDamaged(StateDamaged):
    """What is in a SQLite file is not what was written."""


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
            with self.reading() as connection:
                version = self._version(connection)
            for number in range(version + 1, len(MIGRATIONS) + 1):
                with self.writing() as connection:
                    if self._version(connection) < number:  # no other process was faster
                        _migrate(connection, number)
        except HaloError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def set_aside(self) -> Path:
        """Let go of the SQLite file and rename it; where it is. Raises `Unwritable`."""
        self.close()
        file = Path(self._url.database or "")
        aside = file.with_name(f"{file.name}.damaged")
        try:
            if aside.exists():
                raise FileExistsError(errno.EEXIST, f"{aside.name} exists, move that one away")
            # Beside it under its name SQLite looks for the rest (sqlite.org/tempfiles.html).
            for rest in ("-wal", "-shm", ""):
                part = Path(f"{file}{rest}")
                if part.exists():
                    part.replace(f"{aside}{rest}")
        except OSError as error:
            raise Unwritable(
                f"{file} is damaged and cannot be renamed: {error.strerror}"
            ) from error
        return aside

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
                connection.execute(_TIMEOUTS)
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
            # SQLite opens a file that it may not write for reading, and that connection stays so.
            self._engine.dispose()
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
            url = self._url.set(query={**_LIBPQ, **self._url.query})
            # Whatever the database's default is: what is read after the lock must be what the one
            # before committed, which a snapshot taken while waiting does not show.
            return sa.create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED")
        except ModuleNotFoundError as error:
            raise ConfigError(
                "registry.url: PostgreSQL needs its driver: pip install 'halo-otel[postgres]'"
            ) from error

    def _version(self, connection: Connection) -> int:
        if not sa.inspect(connection).has_table("migrations"):
            return 0
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
        # A password may also stand in the query; of that only a socket's directory is told.
        shown = {key: value for key, value in self._url.query.items() if key == "host"}
        return self._url.set(query=shown).render_as_string(hide_password=True)

    def _explained(self, error: DBAPIError | PoolTimeout) -> HaloError:
        orig = error.orig if isinstance(error, DBAPIError) else error
        # PostgreSQL explains itself in several lines.
        why = " ".join(str(orig).split())
        if getattr(orig, "sqlstate", None) == _FORBIDDEN:
            return ConfigError(
                f"registry.url: the user may not use the registry {self._name} ({why}): make this user"
                " the owner of the database, or grant it CREATE on the schema and all on its tables"
            )
        if isinstance(error, ProgrammingError) or any(mark in why for mark in _DAMAGE):
            is_file = self._url.get_backend_name() == "sqlite"
            return (RegistryDamaged if is_file else StateDamaged)(
                f"the registry {self._name} cannot be read ({why}): restore it from a backup, or"
                " move it away to begin with an empty one"
            )
        cure = next((cure for mark, cure in _CURES if re.search(mark, why)), _CURE)
        return Unreachable(f"the registry {self._name} does not answer ({why}): {cure}")


def _migrate(connection: Connection, number: int) -> None:
    migration = MIGRATIONS[number - 1]
    connection.execute(
        sa.text(
            "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)"
        )
    )
    migration(connection)
    connection.execute(
        sa.text("INSERT INTO migrations (number, name) VALUES (:number, :name)"),
        {"number": number, "name": migration.__name__},
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
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
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
