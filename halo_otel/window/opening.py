"""Window files made, found and opened."""

import re
from pathlib import Path
from typing import Any, Final

from halo_otel import duck
from halo_otel.duck import Connection
from halo_otel.errors import StateDamaged
from halo_otel.window.file import (
    LET_GO_SUMS,
    NEW_SUFFIX,
    WindowDamaged,
    WindowFile,
    attach,
    damage,
    database_of,
    discard,
    new_of,
    path_of,
    sync,
    unopened,
    unwritable,
    wal_of,
)
from halo_otel.window.schema import SCHEMA_VERSION, LetGo
from halo_otel.window.tables import KnownIds, create_tables
from halo_otel.window.upgrade import bring_up_to_date

_NAME: Final = re.compile(r"(\d{8}T\d{6}Z)\.duckdb")


def window_paths(directory: Path) -> list[Path]:
    """The window files in `directory`, oldest first; what a crash left half made is removed."""
    for path in directory.glob(f"*{NEW_SUFFIX}*"):
        path.unlink()
    paths = sorted(path for path in directory.glob("*.duckdb") if _NAME.fullmatch(path.name))
    for path in set(directory.glob("*.duckdb.wal")) - {wal_of(path) for path in paths}:
        path.unlink()
    return paths


def create(con: Connection, directory: Path, start_ns: int, end_ns: int) -> WindowFile:
    """A new open window.

    The file is laid out under another name first, so a crash in between leaves no file that looks
    like a window and is none. Raises `Unwritable`.
    """
    path = path_of(directory, start_ns)
    new = new_of(path)
    try:
        discard(new)
        attach(con, new)
        create_tables(con, database_of(new), start_ns, end_ns)
        con.execute(f"DETACH {database_of(new)}")  # writes everything into the file
        new.rename(path)
        sync(directory)
        attach(con, path)
    except (duck.Error, OSError) as error:
        raise unwritable(path, error) from error
    return WindowFile(path=path, start_ns=start_ns, end_ns=end_ns, sealed=False, read_only=False)


def open_existing(con: Connection, path: Path) -> WindowFile:
    """The window of an earlier run, attached if it is open still.

    One that an older version wrote is brought up to date. Raises `WindowDamaged` if the file is no
    window, `StateDamaged` if it is one of a newer version, `InUse` if another process has it,
    `Unwritable` if the disk refuses.
    """
    try:
        # Rows that a crash left in the write-ahead log reach the file only when it is writable.
        return _read(con, path, read_only=not wal_of(path).exists())
    except duck.Error as error:
        raise unopened(path, error) from error


def _read(con: Connection, path: Path, *, read_only: bool) -> WindowFile:
    attach(con, path, read_only=read_only)
    database = database_of(path)
    version, start_ns, end_ns, sealed = _one(
        con, f"FROM {database}.window_info SELECT schema_version, start_ns, end_ns, sealed"
    )
    if version > SCHEMA_VERSION:
        what = f"its schema version is {version}, newer than {SCHEMA_VERSION}"
        raise StateDamaged(damage(path, what))
    if path_of(path.parent, start_ns) != path:
        raise WindowDamaged(damage(path, "its name is not the start of the window it holds"))
    if version < SCHEMA_VERSION:
        read_only = _reattach(con, path, read_only, want=False)
        bring_up_to_date(con, database)
    _reattach(con, path, read_only, want=sealed)
    spans, log_records, journal_offset = _one(
        con,
        f"FROM {database}.journal_offset SELECT (FROM {database}.spans SELECT count(*)),"
        f" (FROM {database}.log_records SELECT count(*)), journal_offset",
    )
    let_go = LetGo(*_one(con, f"FROM {database}.let_go SELECT {LET_GO_SUMS}"))
    window = WindowFile(
        path=path,
        start_ns=start_ns,
        end_ns=end_ns,
        sealed=sealed,
        read_only=sealed,
        spans=spans,
        log_records=log_records,
        journal_offset=journal_offset,
        let_go=let_go,
        settled=let_go != LetGo(),
    )
    if not sealed:
        window.known = KnownIds(
            resources=_ids(con, f"FROM {database}.resources SELECT resource_id"),
            scopes=_ids(con, f"FROM {database}.scopes SELECT scope_id"),
        )
    else:
        window.detach(con)
    return window


def _reattach(con: Connection, path: Path, read_only: bool, *, want: bool) -> bool:
    """Have the file attached read-only, or writable, as wanted."""
    if read_only != want:
        if not read_only:
            # DETACH would do it, too, but where the disk refuses, it does not tell the system's reason.
            con.execute(f"CHECKPOINT {database_of(path)}")
        con.execute(f"DETACH {database_of(path)}")
        attach(con, path, read_only=want)
    return want


def _one(con: Connection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = con.execute(query).fetchone()
    if row is None:
        raise duck.Error(f"no row in: {query}")
    return row


def _ids(con: Connection, query: str) -> set[object]:
    return {row[0] for row in con.execute(query).fetchall()}
