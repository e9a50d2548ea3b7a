"""The same stages without a service: files in, one window, one report.

    loading (importers ─▶ ingest.rows) ─▶ window.single ─▶ analysis ─▶ report or goal tree

What does not fit into memory spills into a temporary directory that is removed in the end.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from halo_otel.analysis.goals.tree import goal_tree, session_tree
from halo_otel.analysis.run import analyse
from halo_otel.config import sections
from halo_otel.errors import NotFound
from halo_otel.importers.files import OnBad
from halo_otel.model.goal import GoalNode
from halo_otel.model.report import Report
from halo_otel.service.loading import load
from halo_otel.window import Batch
from halo_otel.window.single import SingleWindow
from halo_otel.window.tables import rows
from halo_otel.window.view import View

OnProgress = Callable[[int], None]  # told how many spans and log records were read by now


def analyze_files(
    paths: Sequence[Path],
    settings: sections.Analysis,
    on_progress: OnProgress,
    on_bad: OnBad,
    *,
    window: sections.Window | None = None,
) -> Report:
    """The report over everything in `paths`, files or directories, as one window.

    Every trace counts as complete. Raises BadFile for a path that is no trace file; single bad lines
    go to `on_bad` and are skipped.
    """
    with loaded(paths, on_progress, on_bad, window) as view:
        until_ns = max((info.end_ns for info in view.windows), default=0)
        return analyse(view, settings=settings, until_ns=until_ns, offline=True)


def tree_from_files(
    trace_id: str,
    paths: Sequence[Path],
    on_progress: OnProgress,
    on_bad: OnBad,
    *,
    session: str = "",
    window: sections.Window | None = None,
) -> Sequence[GoalNode]:
    """The goal tree of one trace in `paths`, or of all traces of `session`. Raises NotFound when they do
    not hold it, and BadFile."""
    with loaded(paths, on_progress, on_bad, window) as view:
        nodes = session_tree(view, session) if session else goal_tree(view, trace_id)
    if not nodes:
        what = f"a trace of session {session!r}" if session else f"trace {trace_id!r}"
        raise NotFound(f"no file given holds {what}")
    return nodes


def _batches(
    paths: Sequence[Path], on_bad: OnBad, config: sections.Window
) -> Generator[Batch, None, None]:
    workers = min(config.thread_count, os.cpu_count() or 1)
    return load(paths, on_bad, workers=workers, keep=config.keep, prices_file=config.prices_file)


@contextmanager
def loaded(
    paths: Sequence[Path],
    on_progress: OnProgress,
    on_bad: OnBad,
    config: sections.Window | None,
) -> Iterator[View]:
    """Everything in `paths` as one window."""
    config = config or sections.Window()
    read = 0
    with (
        SingleWindow(config=config) as window,
        ThreadPoolExecutor(max_workers=1) as writer,
        closing(_batches(paths, on_bad, config)) as batches,
    ):
        written = writer.submit(window.insert, Batch())
        for batch in batches:
            written.result()  # one batch is written while the next is decoded, never more
            written = writer.submit(window.insert, batch)
            read += rows(batch.spans) + rows(batch.log_records)
            on_progress(read)
        written.result()
        on_progress(read)
        with window.view() as view:
            yield view
