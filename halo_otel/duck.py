"""The one door to DuckDB: a private in-memory instance that window files are attached to.

Files are read and written below one directory only, and nothing is ever downloaded or loaded: SQL
that a stranger's text managed to shape could still reach no other file.
"""

from pathlib import Path
from typing import Final, TypeAlias

import duckdb

Connection: TypeAlias = duckdb.DuckDBPyConnection
Error = duckdb.Error
Busy = duckdb.TransactionException  # another cursor's transaction is in the way; none lasts
CORRUPT: Final = "Corrupt database file"  # in an error about a block with a wrong checksum

SPILL_DIRECTORY: Final = "spill"  # below the instance's directory; DuckDB's own temporary files

# A bigger write-ahead log means fewer, larger checkpoints; it is read again after a crash, so it is
# bounded by what the start may cost: 64 MiB are replayed in under a second (measured).
_WAL_BYTES_MAX: Final = 64 << 20


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
            "checkpoint_threshold": f"{_WAL_BYTES_MAX}B",
            "max_vacuum_tasks": 0,  # nothing is ever deleted; it would rewrite whole windows
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,  # rows have `position`; scans and inserts go parallel
        },
    )
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET allowed_directories = [?]", [home])
    connection.execute("SET enable_external_access = false")
    return connection
