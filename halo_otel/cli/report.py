"""`report`: the latest analysis of the running service."""

from typing import Annotated

import typer

from halo_otel.cli.options import ConfigOption, EndpointOption, Format, OutOption, connect
from halo_otel.cli.terminal import write, write_markdown


def report(
    now: Annotated[bool, typer.Option("--now", help="Analyse first what has arrived.")] = False,
    format_: Annotated[
        Format, typer.Option("--format", "-f", help="How to write the report.")
    ] = Format.MARKDOWN,
    out: OutOption = None,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """The report of the running service's last analysis."""
    from halo_otel.reports import contract, markdown

    with connect(endpoint, config) as client:
        found = client.analyze() if now else client.report()
    if format_ is Format.JSON:
        write(contract.render(found) + "\n", out)
    else:
        write_markdown(markdown.render(found), out)
