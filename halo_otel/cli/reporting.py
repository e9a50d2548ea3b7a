"""Writing a whole report in the format that was asked for."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.terminal import write, write_markdown

if TYPE_CHECKING:
    from halo_otel.model.report import Report


class ReportFormat(StrEnum):
    """How a report is written."""

    MARKDOWN = "markdown"
    JSON = "json"
    SARIF = "sarif"
    HTML = "html"


ReportFormatOption = Annotated[
    ReportFormat,
    typer.Option(
        "--format",
        "-f",
        help="How to write the report: for people (markdown, html) or programs (json, sarif).",
    ),
]


def write_report(report: "Report", format_: ReportFormat, out: Path | None) -> None:
    """`report` to the file `out` or to standard output. Raises BadRequest."""
    from halo_otel import __version__
    from halo_otel.reports import contract, html, markdown, sarif

    match format_:
        case ReportFormat.MARKDOWN:
            write_markdown(markdown.render(report), out)
        case ReportFormat.JSON:
            write(contract.render(report) + "\n", out)
        case ReportFormat.SARIF:
            write(sarif.render(report, __version__) + "\n", out)
        case ReportFormat.HTML:
            write(html.render(report), out)
