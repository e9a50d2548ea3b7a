"""Files of traces or reports against each other, without a service."""

from collections.abc import Sequence
from pathlib import Path

from halo_otel.analysis.change.compare import Compared, compare_reports, compare_views
from halo_otel.config import sections
from halo_otel.importers.files import OnBad
from halo_otel.model.report import Report
from halo_otel.reports.reading import is_report, read
from halo_otel.service.offline import OnProgress, analyze_files, loaded


def compare_files(
    before: Sequence[Path],
    after: Sequence[Path],
    settings: sections.Analysis,
    on_progress: OnProgress,
    on_bad: OnBad,
    *,
    window: sections.Window | None = None,
) -> Compared:
    """What changed from `before` to `after`, each files or directories of traces, or one report.

    Traces on both sides are judged by one yardstick and compared run by run; where one side is a
    report, its findings are compared with those of the other. Raises BadFile.
    """
    if any(len(side) == 1 and is_report(side[0]) for side in (before, after)):
        reports = [_report(side, settings, on_progress, on_bad, window) for side in (before, after)]
        return compare_reports(*reports)
    with (
        loaded(before, on_progress, on_bad, window) as earlier,
        loaded(after, on_progress, on_bad, window) as later,
    ):
        return compare_views(earlier, later, settings=settings)


def _report(
    paths: Sequence[Path],
    settings: sections.Analysis,
    on_progress: OnProgress,
    on_bad: OnBad,
    window: sections.Window | None,
) -> Report:
    if len(paths) == 1 and is_report(paths[0]):
        return read(paths[0])
    return analyze_files(paths, settings, on_progress, on_bad, window=window)
