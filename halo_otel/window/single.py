"""One window for offline use: a whole file of traces, whatever its times are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self, cast

from halo_otel import duck
from halo_otel.config import sections
from halo_otel.window.schema import Batch, WindowInfo
from halo_otel.window.tables import KnownIds, append, create_tables, rows
from halo_otel.window.view import Source, View

_DATABASE: Final = "window_single"


class SingleWindow:
    """A context manager. The rows live in memory; what exceeds `window.memory_limit` spills into
    `directory`, by default a temporary one, and is deleted in the end.
    """

    def __init__(
        self, directory: Path | None = None, config: sections.Window | None = None
    ) -> None:
        self._config = config or sections.Window()
        self._directory = directory
        self._temporary: TemporaryDirectory[str] | None = None
        self._con: duck.Connection | None = None
        self._known = KnownIds()

    def __enter__(self) -> Self:
        self._temporary = TemporaryDirectory(prefix="halo-otel-", dir=self._directory)
        self._con = duck.connect(
            Path(self._temporary.name),
            memory_limit_bytes=self._config.memory_limit,
            threads=self._config.threads,
        )
        self._con.execute(f"ATTACH ':memory:' AS {_DATABASE}")
        create_tables(self._con, _DATABASE, 0, 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None
        if self._temporary is not None:
            self._temporary.cleanup()

    def insert(self, batch: Batch) -> None:
        """Add rows; the more at once, the cheaper each."""
        append(self._connection, _DATABASE, batch, self._known)

    @property
    def info(self) -> WindowInfo:
        """The window: from the first arrival to just behind the last."""
        spans, log_records = self._extent("spans"), self._extent("log_records")
        firsts, lasts = zip(*(extent[1:] for extent in (spans, log_records) if extent[0]))
        return WindowInfo(
            start_ns=min(first, default=0),
            end_ns=max(last, default=-1) + 1,
            state="open",
            path=None,
            spans=spans[0],
            log_records=log_records[0],
            bytes_=0,
        )

    @contextmanager
    def view(self) -> Iterator[View]:
        """What was inserted until now, for one thread."""
        con = self._connection.cursor()
        try:
            yield View(con, [Source(database=_DATABASE, info=self.info)])
        finally:
            con.close()

    @property
    def _connection(self) -> duck.Connection:
        assert self._con is not None, "the window is not open"
        return self._con
