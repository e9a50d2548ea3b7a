"""One window for offline use: a whole file of traces, whatever its times are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

from halo_otel import duck
from halo_otel.config import sections
from halo_otel.window.schema import Batch, WindowInfo
from halo_otel.window.tables import KnownIds, append, create_tables
from halo_otel.window.view import Source, View

_DATABASE: Final = "window_single"
_EXTENT: Final = f"""
    SELECT coalesce(min(arrival_ns), 0), coalesce(least(max(arrival_ns), 9223372036854775806) + 1, 0),
           count(*) FILTER (is_span), count(*) FILTER (NOT is_span)
    FROM (
        SELECT arrival_ns, true AS is_span FROM {_DATABASE}.spans
        UNION ALL SELECT arrival_ns, false FROM {_DATABASE}.log_records
    )
"""  # noqa: S608 our name


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
            memory_limit_bytes=self._config.memory_bytes,
            threads=self._config.thread_count,
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
        append(self._connection, _DATABASE, [batch], self._known)

    @property
    def info(self) -> WindowInfo:
        """The window: from the first arrival to just behind the last."""
        row = self._connection.execute(_EXTENT).fetchone()
        assert row is not None, "an aggregate has one row"
        start_ns, end_ns, spans, log_records = row
        return WindowInfo(
            start_ns=start_ns,
            end_ns=end_ns,
            state="open",
            path=None,
            spans=spans,
            log_records=log_records,
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
