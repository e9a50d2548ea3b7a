"""Window files that cannot be read: found, and moved out of the way.

A file may be opened and yet hold blocks that are not what was written: DuckDB reads them when a query
needs them. An error about that names the file if it ends early, not if a checksum is wrong.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from halo_otel import duck
from halo_otel.errors import Unwritable
from halo_otel.window.file import WindowFile, database_of, sync, wal_of
from halo_otel.window.schema import TABLES

logger = logging.getLogger(__name__)

DIRECTORY: Final = "damaged"  # below the windows' directory


def suspects(files: Sequence[WindowFile], error: duck.Error) -> list[WindowFile]:
    """Which of `files` an error of DuckDB's may be about; none if it is about something else."""
    why = str(error)
    return [file for file in files if f'"{file.path.resolve()}"' in why or duck.CORRUPT in why]


def convicted(con: duck.Connection, files: Sequence[WindowFile]) -> list[WindowFile]:
    """Those of `files` that cannot be read to their end; reads them whole. `con` is for this alone."""
    return [file for file in files if _is_damaged(con, file)]


def set_aside(con: duck.Connection, path: Path, why: str) -> Path:
    """Let go of the window at `path` and move its files away; where they are. Raises `Unwritable`."""
    directory = path.parent / DIRECTORY
    try:
        con.execute(f"DETACH DATABASE IF EXISTS {database_of(path)}")
        directory.mkdir(mode=0o700, exist_ok=True)
        for file in (path, wal_of(path)):
            if file.exists():
                file.replace(directory / file.name)
        sync(path.parent)
    except (duck.Error, OSError) as error:
        raise Unwritable(
            f"{path} is damaged and cannot be moved to {directory}: {error}"
        ) from error
    logger.error(
        "%s: set aside in %s; what is in it is missing from views, except what the journal still holds",
        why,
        directory,
    )
    return directory / path.name


def _is_damaged(con: duck.Connection, file: WindowFile) -> bool:
    try:
        for table in TABLES:
            con.execute(f"SELECT bit_xor(hash(t)) FROM {file.database}.{table} t").fetchall()  # noqa: S608 our names
    except duck.Error as error:
        return bool(suspects([file], error))
    return False
