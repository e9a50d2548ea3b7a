"""The command `halo-otel` and its families."""

from typing import Annotated

import typer

from halo_otel import __version__
from halo_otel.cli import (
    analyze,
    config,
    demo,
    diff,
    findings,
    importing,
    replay,
    report,
    service,
    traces,
)

app = typer.Typer(
    name="halo-otel",
    help="What systematically goes wrong in your AI agents, found in the OpenTelemetry traces you "
    "already collect.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"halo-otel {__version__}")
        raise typer.Exit


@app.callback()
def halo_otel(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before every command."""


# In the order of the help: first what a newcomer needs.
app.command("demo")(demo.demo)
app.command("serve")(service.serve)
app.command("analyze")(analyze.analyze)
app.command("diff")(diff.diff)
app.command("findings")(findings.findings)
app.command("finding")(findings.finding)
app.command("watch")(findings.watch)
app.command("mute")(findings.mute)
app.command("unmute")(findings.unmute)
app.command("report")(report.report)
app.command("windows")(traces.windows)
app.command("traces")(traces.traces)
app.command("tree")(traces.tree)
app.command("replay")(replay.replay)
app.command("health")(service.health)
app.command("status")(service.status)
app.add_typer(importing.app, name="import")
app.add_typer(config.app, name="config")
