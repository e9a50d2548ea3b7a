"""The one door to DuckDB: a private in-memory instance that window files are attached to.

Files are read and written below one directory only, and nothing is ever downloaded or loaded: SQL
that a stranger's text managed to shape could still reach no other file.
"""

from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import duckdb

Connection: TypeAlias = duckdb.DuckDBPyConnection
Error = duckdb.Error
OutOfMemory = duckdb.OutOfMemoryException
Interrupted = duckdb.InterruptException  # `interrupt` was called on the connection
InUse = duckdb.ResourceInUseException  # a cursor of the connection executes something
Busy = duckdb.TransactionException  # another cursor's transaction is in the way; none lasts
# What a refusing disk makes of a statement, of a commit, and of all that comes after.
UNWRITABLE: Final = (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException)
# After one of these DuckDB has given up the whole instance: nothing can be read or written any more.
BROKEN: Final = (duckdb.InternalException, duckdb.FatalException)
CORRUPT: Final = "Corrupt database file"  # in an error about a block with a wrong checksum

# More texts than any analysis has; those of a hundred statements take a few MB.
_STATEMENTS_MAX: Final = 1024
_statements: Final[dict[str, object]] = {}

SPILL_DIRECTORY: Final = "spill"  # below the instance's directory; DuckDB's own temporary files

# A bigger write-ahead log means fewer, larger checkpoints; it is read again after a crash, so it is
# bounded by what the start may cost: 64 MiB are replayed in under a second (measured). Its rows are in
# memory, too, about half as many bytes again, so where there is little it is smaller.
_WAL_BYTES_MAX: Final = 64 << 20
_WAL_SHARE: Final = 16  # of the memory DuckDB may use, one part

# Memory goes back to the system when an analysis ends; as it is delivered, DuckDB's allocator keeps it for
# the next one, which comes in minutes.
_GIVEN_BACK: Final = {"allocator_background_threads": "true", "allocator_flush_threshold": "8MB"}

# In 2.0.0 what collects small chunks behind a join may find that a dictionary "changed identity after being
# seeded", and then DuckDB gives up the whole instance (seen once in some dozens of analyses; the code came
# with pull requests 23360 and 23447). Without it an analysis takes 6 % more time (measured).
_WITHOUT_FAULTS: Final = {"enable_caching_operators": "false"}

# Nothing is downloaded or loaded, no variable of this program is a table.
_NOTHING_ELSE: Final[dict[str, str | bool | int]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}


def connect(directory: Path, *, memory_limit_bytes: int, threads: int) -> Connection:
    """A new DuckDB instance that may touch files below `directory` alone.

    Cursors of the connection are connections of their own: use one per thread.
    """
    home = str(directory.resolve())
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": f"{memory_limit_bytes}B",
            "temp_directory": f"{home}/{SPILL_DIRECTORY}",
            "checkpoint_threshold": f"{min(_WAL_BYTES_MAX, memory_limit_bytes // _WAL_SHARE)}B",
            "max_vacuum_tasks": 0,  # nothing is ever deleted; it would rewrite whole windows
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,  # rows have `position`; scans and inserts go parallel
        },
    )
    for setting, value in (_GIVEN_BACK | _WITHOUT_FAULTS).items():
        connection.execute(f"SET {setting} = '{value}'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET allowed_directories = [?]", [home])
    connection.execute("SET enable_external_access = false")
    return connection


def parsed(connection: Connection) -> Connection:
    """`connection`, but it parses a text that was executed before, on any connection, not again.

    An analysis executes the same two hundred statements each time; over a small window, parsing them is a
    sixth of its work (measured).
    """
    return cast(Connection, _Parsed(connection))


class _Parsed:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, query: object, parameters: object = None) -> Connection:
        statement = _statements.get(query) if isinstance(query, str) else query
        if statement is None:
            statement = self._parse(cast(str, query))
        return self._connection.execute(cast(Any, statement), parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _parse(self, query: str) -> object:
        statements = self._connection.extract_statements(query)
        if len(statements) != 1:
            return query
        if len(_statements) >= _STATEMENTS_MAX:
            _statements.clear()
        _statements[query] = statements[0]
        return statements[0]


def read_only(path: Path | None, *, memory_limit_bytes: int) -> Connection:
    """The database file at `path`, or an empty one in memory, for queries that strangers had a hand in.

    It touches no other file, writes none, spills nothing, and its settings stay what they are. One thread:
    the same query over the same rows gives the same answer to the last bit.
    """
    connection = duckdb.connect(
        ":memory:" if path is None else str(path),
        read_only=path is not None,
        config={
            **_NOTHING_ELSE,
            "threads": 1,
            "memory_limit": f"{memory_limit_bytes}B",
            "temp_directory": "",
        },
    )
    for setting, value in _WITHOUT_FAULTS.items():
        connection.execute(f"SET {setting} = '{value}'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
