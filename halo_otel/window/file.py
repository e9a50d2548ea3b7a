"""One window's file on disk and its place in the DuckDB instance."""

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from halo_otel import duck
from halo_otel.clock import NS_PER_S
from halo_otel.duck import Connection
from halo_otel.errors import HaloError, InUse, StateDamaged, Unwritable
from halo_otel.window.schema import Batch, LetGo, WindowInfo
from halo_otel.window.tables import KnownIds, append, rows

# A batch of at least this many rows goes compressed into the file at once; with DuckDB's 122,880 rows
# it would go through the write-ahead log, and each checkpoint would rewrite the last row group: 13
# against 39 µs per span, measured with batches of 8192 spans of 2 KB.
_ROW_GROUP_ROWS: Final = 4096
# What DuckDB says after the file's name when another process has it.
_LOCKED: Final = '": Conflicting lock is held'
# What the system says of a file it does not let us use, whatever is in it (errno(3)).
_REFUSALS: Final = tuple(
    os.strerror(number)
    for number in (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EMFILE,
        errno.ENFILE,
        errno.EIO,
        errno.ENOMEM,
    )
)
NEW_SUFFIX: Final = ".new"  # a file being laid out; worthless until it is renamed
# The table `let_go` as the values of a `LetGo`.
LET_GO_SUMS: Final = ", ".join(
    f"coalesce(sum({name}), 0)::BIGINT" for name in ("traces", "spans", "log_records")
)


class WindowDamaged(StateDamaged):
    """What is in a window's file is not what was written."""


@dataclass(slots=True)
class WindowFile:
    """One window's file. Its owner sees to it that one thread at a time calls a method.

    `views` counts the open views that read it. While there are any, a sealed file stays as it is: it
    is not replaced and not deleted. When there are none, a `read_only` one is not even attached: each
    that is holds 0.4 MiB, a file descriptor and, up to DuckDB's limit, every block that was read of it
    (measured). `settled`: compaction has nothing more to do with it. `damaged`: a query found that it
    cannot be read back.
    """

    path: Path
    start_ns: int
    end_ns: int
    sealed: bool
    read_only: bool
    spans: int = 0
    log_records: int = 0
    journal_offset: int = 0
    known: KnownIds = field(default_factory=KnownIds)
    attached: bool = True
    views: int = 0
    let_go: LetGo = field(default_factory=LetGo)
    settled: bool = False
    damaged: bool = False

    @property
    def database(self) -> str:
        """The file's name inside DuckDB: safe in SQL, made of our own time stamp alone."""
        return database_of(self.path)

    @property
    def info(self) -> WindowInfo:
        return WindowInfo(
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            state="sealed" if self.sealed else "open",
            path=self.path,
            spans=self.spans,
            log_records=self.log_records,
            bytes_=_size(self.path) + _size(wal_of(self.path)),
            let_go=self.let_go,
        )

    def enter(self, con: Connection) -> None:
        """One more view reads the file. Raises as `open_existing` does."""
        if not self.attached:
            try:
                attach(con, self.path, read_only=True)
            except duck.Error as error:
                raise unopened(self.path, error) from error
            self.attached = True
        self.views += 1

    def leave(self, con: Connection) -> None:
        """One view fewer reads the file."""
        self.views -= 1
        if self.read_only and not self.views:
            self.detach(con)

    def detach(self, con: Connection) -> None:
        """Let DuckDB forget the file; no view may be open on it."""
        if self.attached:
            con.execute(f"DETACH {self.database}")
            self.attached = False

    def insert(self, con: Connection, batches: Iterable[Batch], journal_offset: int) -> None:
        """Commit rows and offset together; raises `Unwritable`, and then nothing was inserted.

        Other errors of DuckDB are about the rows, and pass.
        """
        spans = log_records = 0

        def counted() -> Iterator[Batch]:
            nonlocal spans, log_records
            for batch in batches:
                spans += rows(batch.spans)
                log_records += rows(batch.log_records)
                yield batch

        try:
            append(con, self.database, counted(), self.known, journal_offset)
        except duck.UNWRITABLE as error:
            raise unwritable(self.path, error) from error
        self.spans += spans
        self.log_records += log_records
        self.journal_offset = journal_offset

    def seal(self, con: Connection) -> None:
        """Let no more rows in; from now on also a crash leaves the file sealed."""
        try:
            con.execute(f"UPDATE {self.database}.window_info SET sealed = true")  # noqa: S608 our name
        except duck.Error as error:
            raise unwritable(self.path, error) from error
        self.sealed = True
        self.known = KnownIds()

    def close_for_writing(self, con: Connection) -> None:
        """Bring all rows into the file and detach it; no view may be open on it.

        Does nothing while DuckDB has another transaction in flight that forbids it: call it again.
        """
        try:
            con.execute(f"CHECKPOINT {self.database}")
        except duck.Busy:
            return
        except duck.Error as error:
            raise unwritable(self.path, error) from error
        try:
            self.detach(con)
        except duck.Error as error:
            raise unwritable(self.path, error) from error
        self.read_only = True

    def replace(self, con: Connection, new: Path, let_go: LetGo) -> None:
        """Put the file `new`, this sealed one without some rows, into its place; no view may be open.

        `new` is whole and on disk: a crash leaves one or the other. Raises `Unwritable`.
        """
        try:
            self.detach(con)
            new.replace(self.path)
            self.spans -= let_go.spans
            self.log_records -= let_go.log_records
            self.let_go = let_go
            sync(self.path.parent)
        except (duck.Error, OSError) as error:
            raise unwritable(self.path, error) from error

    def delete(self, con: Connection) -> None:
        """Remove the file for good; no view may be open on it."""
        self.detach(con)
        # Nobody holds it open, so somebody may have been before us.
        self.path.unlink(missing_ok=True)
        wal_of(self.path).unlink(missing_ok=True)


def path_of(directory: Path, start_ns: int) -> Path:
    """The file of the window that starts at `start_ns`, a whole second; names sort by time."""
    return (
        directory / f"{datetime.fromtimestamp(start_ns // NS_PER_S, tz=UTC):%Y%m%dT%H%M%SZ}.duckdb"
    )


def wal_of(path: Path) -> Path:
    """DuckDB's write-ahead log of the file at `path`."""
    return path.with_name(path.name + ".wal")


def database_of(path: Path) -> str:
    """The name a file is attached under."""
    return f"window_{path.stem}"


def new_of(path: Path) -> Path:
    """Where a file is laid out that is to become the one at `path`."""
    return path.with_suffix(NEW_SUFFIX)


def discard(new: Path) -> None:
    """Remove what was laid out at `new`, if anything."""
    for leftover in (new, wal_of(new)):
        leftover.unlink(missing_ok=True)


def attach(
    con: Connection, path: Path, *, database: str | None = None, read_only: bool = False
) -> None:
    """Give DuckDB the file, under the name `database_of` it unless another one is wanted."""
    quoted = str(path.resolve()).replace("'", "''")
    mode = "READ_ONLY" if read_only else f"ROW_GROUP_SIZE {_ROW_GROUP_ROWS}"
    con.execute(f"ATTACH '{quoted}' AS {database or database_of(path)} ({mode})")


def damage(file: Path | str, what: str) -> str:
    """What is wrong with a window's file, and the cure."""
    return (
        f"{file} is not a window this version can read: {what}. Move the file (and its .wal) to another"
        " directory and start again; the spans in it will be missing from views."
    )


def unopened(path: Path, error: duck.Error) -> HaloError:
    """What is to be raised when DuckDB does not open a file."""
    first_line = str(error).partition("\n")[0]
    if _LOCKED in first_line:
        return InUse(f"{path} is open in another process; stop that one first")
    if isinstance(error, duck.OutOfMemory) or first_line.endswith(_REFUSALS):
        return unwritable(path, error)
    return WindowDamaged(damage(path, first_line))


def unwritable(path: Path, error: Exception) -> Unwritable:
    """What is to be raised when the disk refuses."""
    return Unwritable(
        f"{path} cannot be written: {error}. Make room or give permission and start again; the rows"
        " are still in the journal."
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def sync(path: Path) -> None:
    """Have a file's content, or a directory's names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
