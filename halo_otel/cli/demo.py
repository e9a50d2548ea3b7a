"""`demo`: what this is, shown on generated and real traces in under a minute."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    collector: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The binary that `make collector` builds, to send through (default: directly).",
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the data directory.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the results only.")] = False,
) -> None:
    """Show it: run the service, feed it agents with planted faults, print what it finds."""
    from halo_otel.demo.run import run_demo

    raise typer.Exit(run_demo(collector=collector, keep=keep, quiet=quiet))
