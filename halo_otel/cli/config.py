"""`config check` and `config defaults`."""

import typer

from halo_otel.cli.options import ConfigOption, load

app = typer.Typer(help="Check the configuration, or print every default.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check file and environment as `serve` would, without starting; exit with 2 if they are wrong."""
    load(config)
    print(f"{config or 'environment and defaults'}: ok")


@app.command()
def defaults() -> None:
    """Print a configuration file with every key, its default and what it means."""
    from halo_otel.config.describe import defaults_yaml

    print(defaults_yaml(), end="")
