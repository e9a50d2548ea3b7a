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
    PROMPT = "prompt"


ReportFormatOption = Annotated[
    ReportFormat,
    typer.Option(
        "--format",
        "-f",
        help="How to write the report: for people (markdown, html), programs (json, sarif), or as tasks for "
        "a coding agent (prompt).",
    ),
]


def write_report(
    report: "Report", format_: ReportFormat, out: Path | None, above: str = ""
) -> None:
    """`report` to the file `out` or to standard output; `above` stands before it in Markdown. Raises
    BadRequest."""
    from halo_otel import __version__
    from halo_otel.reports import contract, html, markdown, prompt, sarif

    match format_:
        case ReportFormat.MARKDOWN:
            write_markdown(above + markdown.render(report), out)
        case ReportFormat.JSON:
            write(contract.render(report) + "\n", out)
        case ReportFormat.SARIF:
            write(sarif.render(report, __version__) + "\n", out)
        case ReportFormat.HTML:
            write(html.render(report), out)
        case ReportFormat.PROMPT:
            write(prompt.render(report), out)
