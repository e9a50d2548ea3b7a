"""Ends an analysis that takes too long or too much memory.

What is long is DuckDB's work, and a query can be interrupted from another thread. Once the traces are judged
a run is not ended any more: what is left touches findings alone, and its judgements are worth keeping.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb

from halo_otel.config import machine, sections
from halo_otel.errors import RunEnded

_LOOK_S: Final = 0.2
_AGAIN_S: Final = 0.01  # what has just begun is not interrupted


class Guard:
    """The limits of one run: `with guard.watching(con)` around what may be ended, once."""

    def __init__(self, settings: sections.Analysis) -> None:
        self._timeout_s = settings.timeout
        self._memory_bytes = settings.memory_bytes
        self._done = threading.Event()
        self._exceeded: str | None = None
        self.spans = 0

    @contextmanager
    def watching(self, con: duckdb.DuckDBPyConnection, spans: int) -> Iterator[None]:
        """While `spans` are analysed on `con`. Raises RunEnded in place of what the interruption, or DuckDB's own
        limit, makes of the work."""
        self.spans = spans
        watcher = threading.Thread(target=self._watch, args=(con,), name="guard", daemon=True)
        watcher.start()
        try:
            yield
        except duckdb.InterruptException:
            if self._exceeded is None:
                raise
            raise _ended(self._exceeded) from None
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            raise _ended("window.memory_limit") from error
        finally:
            self._done.set()
            watcher.join()

    def _watch(self, con: duckdb.DuckDBPyConnection) -> None:
        left_s = self._timeout_s
        while not self._done.wait(min(left_s, _LOOK_S)):
            left_s -= _LOOK_S
            if machine.rss_bytes() > self._memory_bytes:
                self._exceeded = "analysis.memory_limit"
            elif left_s <= 0:
                self._exceeded = "analysis.timeout"
            if self._exceeded is not None:
                left_s = _AGAIN_S
                con.interrupt()


def _ended(limit: str) -> RunEnded:
    return RunEnded(
        limit,
        f"an analysis was ended by {limit}: the next one reads half as many spans; raise that limit, or lower"
        " analysis.lookback or analysis.max_spans",
    )
