"""The service's windows: where arrivals go, when windows are sealed, when they are deleted."""

import errno
import os
from bisect import bisect_right, insort
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from shutil import rmtree
from threading import RLock
from typing import Final

from halo_otel import duck
from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.errors import ConfigError, StateDamaged, Unwritable
from halo_otel.selfobs import Counters
from halo_otel.window.compaction import rewrite
from halo_otel.window.damaged import convicted, set_aside, suspects
from halo_otel.window.file import WindowDamaged, WindowFile, damage, discard, new_of
from halo_otel.window.opening import create, open_existing, window_paths
from halo_otel.window.schema import Batch, LetGo, WindowInfo
from halo_otel.window.view import Source, View


class WindowStore:
    """All windows below one directory.

    One thread inserts, seals and expires; any thread may read. Times are those of arrivals (`clock`).
    Windows never overlap, also after `window.length` was changed.
    """

    def __init__(self, directory: Path, config: sections.Window, counters: Counters) -> None:
        self.directory: Final = directory
        self._config = config
        self._counters = counters
        self._length_ns = round(config.length) * NS_PER_S
        self.keep: Final = config.keep
        self.limits: Final = config
        self.prices_file: Final = config.prices_file
        self.quarantine_bytes: Final = config.quarantine_bytes
        self._lock = RLock()
        self._con: duck.Connection | None = None
        self._files: list[WindowFile] = []  # by start
        self.set_aside: int = 0  # damaged files, by `open`
        self._resume_offset = 0
        self._passed_ns = 0
        self._broken: duck.Error | None = None
        self._rewriting: duck.Connection | None = None
        self._rewritten: tuple[WindowFile, LetGo] | None = None

    def open(self) -> None:
        """Find the windows of earlier runs.

        A file that cannot be read is set aside, or stops the start (`window.on_damage`). Raises
        `StateDamaged`, `Unwritable` or `InUse`, naming the file, and `ConfigError` for a directory
        that cannot be used.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            paths = window_paths(self.directory)
            if not os.access(self.directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise ConfigError(
                f"window.directory: {self.directory} cannot be used ({error.strerror}): choose a"
                " directory this user may write to"
            ) from error
        self._con = duck.connect(
            self.directory,
            memory_limit_bytes=self._config.memory_bytes,
            threads=self._config.thread_count,
        )
        try:
            opened = [self._opened(path) for path in paths]
            self._files = [file for file in opened if file is not None]
        except BaseException:
            self.close()
            raise
        # The files are ours now, so what an earlier process spilled is nobody's.
        rmtree(self.directory / duck.SPILL_DIRECTORY, ignore_errors=True)
        self._resume_offset = max((file.journal_offset for file in self._files), default=0)

    def close(self) -> None:
        """Write everything into the files and let go of them.

        A reader that was left behind keeps them until the process ends; what was committed stays.
        """
        with self._lock:
            if self._rewriting is not None:
                self._rewriting.interrupt()
            if self._con is not None:
                with suppress(duck.InUse):
                    self._con.close()
            self._con = None
            self._files = []
            self._rewritten = None

    def _opened(self, path: Path) -> WindowFile | None:
        """The window at `path`; None if it was set aside."""
        try:
            return open_existing(self._connection, path)
        except WindowDamaged as error:
            if self._config.on_damage == "stop":
                raise
            set_aside(self._connection, path, str(error))
            self._counters.add("halo.window.damaged")
            self.set_aside += 1
            return None

    @property
    def resume_offset(self) -> int:
        """The highest journal offset committed in any window; 0 if there is none."""
        return self._resume_offset

    def start_of(self, arrival_ns: int) -> int:
        """The start of the window that takes what arrived at `arrival_ns`.

        That is the moment floored to the window's length, except that windows stay as they were cut
        (the length may have been changed) and sealed ones take nothing more: what arrived in one, by
        a clock that was set back, goes to the first window after it.
        """
        with self._lock:
            moment_ns = arrival_ns
            while (file := self._last_started(moment_ns)) and moment_ns < file.end_ns:
                if not file.sealed:
                    return file.start_ns
                moment_ns = file.end_ns
            floor_ns = moment_ns - moment_ns % self._length_ns
            return max(floor_ns, file.end_ns) if file else floor_ns

    def insert(
        self, start_ns: int, batch: Batch, journal_offset: int, more: Iterable[Batch] = ()
    ) -> None:
        """Commit a batch, and `more`, to the window that starts at `start_ns` (see `start_of`).

        All in one transaction, and so is `journal_offset`, the end of the last frame in it. Batches
        are asked for one after the other: so many rows may be committed that memory would not hold.
        Raises `StateDamaged` if the window is sealed, `Unwritable` if the disk refuses.
        """
        assert journal_offset > self._resume_offset, "frames come once and in order"
        with self._lock:
            file = self._last_started(start_ns)
            if file is None or file.start_ns != start_ns:
                file = self._create(start_ns)
            if file.sealed:
                raise StateDamaged(
                    f"{file.path} is sealed and cannot take rows up to journal offset"
                    f" {journal_offset}; the rows stay in the journal. Move the file away and start"
                    " again."
                )
            file.insert(self._connection, chain([batch], more), journal_offset)
            self._resume_offset = journal_offset

    def seal_before(self, now_ns: int) -> list[WindowInfo]:
        """Seal the open windows that ended by `now_ns`: the journal has passed it for good.

        Raises `Unwritable` where that cannot be, as when a query made DuckDB give up all its databases.
        """
        with self._lock:
            if self._broken is not None:
                raise Unwritable(
                    f"DuckDB has given up the windows after an error of its own, so nothing can be read or"
                    f" written until a new process opens them: {self._broken}"
                ) from self._broken
            self._passed_ns = now_ns
            self._set_damaged_aside()
            sealed = [file for file in self._files if not file.sealed and file.end_ns <= now_ns]
            for file in sealed:
                file.seal(self._connection)
            for file in self._files:
                if file.sealed and not file.read_only and not file.views:
                    file.close_for_writing(self._connection)
            return [file.info for file in sealed]

    def _set_damaged_aside(self) -> None:
        """Let go of what a query found damaged, once no view reads it."""
        for file in [file for file in self._files if file.damaged and not file.views]:
            set_aside(self._connection, file.path, damage(file.path, "it cannot be read back"))
            self._files.remove(file)
            self._counters.add("halo.window.damaged")

    def expire(self, now_ns: int) -> list[WindowInfo]:
        """Delete sealed windows older than `window.retention`, then the oldest while all sealed ones
        together exceed `window.retention_bytes`. One that a view reads waits for the next call.
        """
        with self._lock:
            retention_ns = round(self._config.retention * NS_PER_S)
            sealed = [(file, file.info) for file in self._files if file.sealed]
            bytes_ = sum(info.bytes_ for _, info in sealed)
            expired = []
            for file, info in sealed:
                too_old = file.end_ns + retention_ns <= now_ns
                if not file.views and (too_old or bytes_ > self._config.retention_bytes):
                    file.delete(self._connection)
                    self._files.remove(file)
                    bytes_ -= info.bytes_
                    expired.append(info)
            if expired:
                self._counters.add("halo.window.expired", len(expired))
            return expired

    def compact(self) -> bool:
        """Leave out of one window what is about no agent; False if there is nothing to do for now.

        A window is due one length after its end, when the one after it is sealed (see `compaction`).
        It takes seconds, in which rows come in and views are opened; only putting the new file in
        place holds them up. While a view reads the window that waits for the next call.
        One thread at a time may call this, any one. Raises `Unwritable` and `StateDamaged`; then the
        window stays as it is until the next start.
        """
        if self.keep == "all":
            return False
        self._rewritten = self._rewritten or self._rewrite_next()
        if self._rewritten is None:
            return False
        file, let_go = self._rewritten
        with self._lock:
            if file.views:
                return False
            self._rewritten = None
            if not any(file is kept for kept in self._files):  # expired meanwhile
                discard(new_of(file.path))
                return True
            file.replace(self._connection, new_of(file.path), let_go)
        self._counters.add("halo.window.let_go_traces", let_go.traces)
        self._counters.add("halo.window.let_go_spans", let_go.spans)
        self._counters.add("halo.window.let_go_log_records", let_go.log_records)
        return True

    def _rewrite_next(self) -> tuple[WindowFile, LetGo] | None:
        """Rewrite the first window that is due and holds enough to be let go."""
        with self._lock:
            due_ns = self._passed_ns - self._length_ns
            due = [f for f in self._files if f.read_only and not f.settled and f.end_ns <= due_ns]
        for file in due:
            file.settled = True  # whatever comes of it: what fails once would fail again
            if (let_go := self._rewrite(file)) is not None:
                return file, let_go
        return None

    def _rewrite(self, file: WindowFile) -> LetGo | None:
        try:
            with (
                self._reading(file.start_ns, file.end_ns) as (con, sources),
                closing(self._databases()) as databases,
            ):
                self._rewriting = con
                return rewrite(con, file, databases) if sources else None
        except (duck.Error, OSError) as error:
            raise Unwritable(
                f"{file.path} cannot be written anew without what is about no agent: {error}. It stays"
                " whole until the next start; make room."
            ) from error
        finally:
            self._rewriting = None

    def _databases(self) -> Generator[str]:
        """Every window in DuckDB, one at a time."""
        for window in self.windows():
            if self._con is None:  # closed meanwhile
                return
            with self._reading(window.start_ns, window.end_ns) as (_, sources):
                yield from [source.database for source in sources]

    def windows(self) -> list[WindowInfo]:
        """All windows, oldest first."""
        with self._lock:
            return [file.info for file in self._files]

    @contextmanager
    def view(self, since_ns: int, until_ns: int | None = None) -> Iterator[View]:
        """What the windows that overlap `[since_ns, until_ns)` hold at this moment, for one thread.

        Until the view is left, rows that come in do not show in it and none of its windows expires.
        Raises `StateDamaged`, also for queries on the view, when a file cannot be read back.
        """
        with self._reading(since_ns, until_ns) as (con, sources):
            yield View(con, sources)

    @contextmanager
    def _reading(
        self, since_ns: int, until_ns: int | None = None
    ) -> Iterator[tuple[duck.Connection, list[Source]]]:
        """A connection on which those windows are attached and stay what they are."""
        files: list[WindowFile] = []
        with ExitStack() as stack:
            with self._lock:
                for file in self._overlapping(since_ns, until_ns):
                    self._enter(file)
                    stack.callback(self._leave, file)
                    files.append(file)
                con = self._connection.cursor()
                stack.callback(con.close)
                sources = [Source(database=file.database, info=file.info) for file in files]
            try:
                yield con, sources
            except duck.Error as error:
                if isinstance(error, duck.BROKEN):
                    self._broken = error
                    raise
                if damaged := self._damaged(files, error):
                    names, why = (" or ".join(str(file.path) for file in damaged), str(error))
                    raise StateDamaged(damage(names, why.partition("\n")[0])) from error
                raise

    def _overlapping(self, since_ns: int, until_ns: int | None) -> list[WindowFile]:
        return [
            file
            for file in self._files
            if since_ns < file.end_ns and (until_ns is None or file.start_ns < until_ns)
        ]

    def _enter(self, file: WindowFile) -> None:
        try:
            file.enter(self._connection)
        except WindowDamaged:
            self._blame([file])
            raise

    def _leave(self, file: WindowFile) -> None:
        with self._lock:
            if self._con is None:  # closed, and all with it
                return
            # What cannot be let go of now is still there for the next view.
            with suppress(duck.Error):
                file.leave(self._con)

    def _damaged(self, files: Sequence[WindowFile], error: duck.Error) -> Sequence[WindowFile]:
        """Which of `files` an error is about."""
        with self._connection.cursor() as con:
            found = convicted(con, suspects(files, error))
        self._blame(found)
        return found

    def _blame(self, files: Iterable[WindowFile]) -> None:
        """Files are damaged: they are out of the way soon, if that is wanted."""
        if self._config.on_damage == "set_aside":
            for file in files:
                file.damaged = True

    @property
    def _connection(self) -> duck.Connection:
        assert self._con is not None, "the store is not open"
        return self._con

    def _last_started(self, moment_ns: int) -> WindowFile | None:
        index = bisect_right(self._files, moment_ns, key=_start_ns)
        return self._files[index - 1] if index else None

    def _create(self, start_ns: int) -> WindowFile:
        index = bisect_right(self._files, start_ns, key=_start_ns)
        end_ns = start_ns - start_ns % self._length_ns + self._length_ns
        if index < len(self._files):
            end_ns = min(end_ns, self._files[index].start_ns)
        file = create(self._connection, self.directory, start_ns, end_ns)
        insort(self._files, file, key=_start_ns)
        return file


def _start_ns(file: WindowFile) -> int:
    return file.start_ns
