"""`report`: the latest analysis of the running service."""

from typing import Annotated

import typer

from halo_otel.cli.options import ConfigOption, EndpointOption, OutOption, connect
from halo_otel.cli.reporting import ReportFormat, ReportFormatOption, write_report


def report(
    now: Annotated[bool, typer.Option("--now", help="Analyse first what has arrived.")] = False,
    format_: ReportFormatOption = ReportFormat.MARKDOWN,
    out: OutOption = None,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """The report of the running service's last analysis."""
    with connect(endpoint, config) as client:
        found = client.analyze() if now else client.report()
    write_report(found, format_, out)
