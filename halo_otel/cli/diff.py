"""`diff`: what a change fixed and what it broke."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.analyze import BadLines, loading
from halo_otel.cli.options import ConfigOption, Format, OutOption, load
from halo_otel.cli.terminal import write, write_markdown

if TYPE_CHECKING:
    from halo_otel.model.comparison import Comparison


class DiffFailOn(StrEnum):
    """What makes a check in a build pipeline fail."""

    NEW = "new"
    REGRESSED = "regressed"


def diff(
    before: Annotated[
        Path,
        typer.Argument(
            metavar="A", help="Before: a file or directory of traces, or a report as JSON."
        ),
    ],
    after: Annotated[Path, typer.Argument(metavar="B", help="After: the same.")],
    format_: Annotated[
        Format, typer.Option("--format", "-f", help="How to write the comparison.")
    ] = Format.MARKDOWN,
    out: OutOption = None,
    fail_on: Annotated[
        DiffFailOn | None,
        typer.Option(
            help="Exit with 1 if there is a new finding, or (regressed) if a finding of severity warn "
            "or above is new or worse, or a figure of the runs is worse."
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing about progress and skipped lines.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Compare traces or reports of before and after a change: fixed, new, worse, better."""
    settings = load(config)

    from halo_otel.reports import comparison
    from halo_otel.service.comparing import compare_files

    bad = BadLines()
    with loading(quiet) as on_progress:
        compared = compare_files(
            [before],
            [after],
            settings.analysis,
            on_progress,
            (lambda line: None) if quiet else bad,
            window=settings.window,
        ).comparison
    bad.sum_up()
    if format_ is Format.JSON:
        write(comparison.render_json(compared) + "\n", out)
    else:
        write_markdown(comparison.render(compared), out)
    if fail_on is not None and fails(compared, fail_on):
        raise typer.Exit(1)


def fails(compared: "Comparison", fail_on: DiffFailOn) -> bool:
    """Whether the comparison shows what must not be."""
    if fail_on is DiffFailOn.NEW:
        return any(one.change.value == "new" for one in compared.findings)
    return compared.regressed
