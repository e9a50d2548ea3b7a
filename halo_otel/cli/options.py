"""Options that several commands share, and what they mean."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.errors import ConfigError

if TYPE_CHECKING:  # both cost import time; `--help` needs neither
    from halo_otel.config.sections import Config
    from halo_otel.control.client import ControlClient


class Format(StrEnum):
    """How a result is written."""

    MARKDOWN = "markdown"
    JSON = "json"


class TableFormat(StrEnum):
    """How a list is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration file (default: $HALO_CONFIG, or none).",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="HOST:PORT",
        help="Where the service's OTLP/gRPC port is (default: as the configuration says).",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write to a file, not to standard output."),
]


def load(file: Path | None) -> "Config":
    """The configuration. Raises ConfigError."""
    from halo_otel.config.load import load_from_environment

    return load_from_environment(file)


def connect(endpoint: str | None, config: Path | None) -> "ControlClient":
    """A client of the running service, not yet entered."""
    from halo_otel.control.client import ControlClient

    if endpoint is None:
        return ControlClient(load(config).receivers.otlp.protocols.grpc.endpoint)
    return ControlClient(endpoint_given(endpoint))


def endpoint_given(text: str) -> str:
    """What `--endpoint` says; `:PORT` means this machine. Raises ConfigError."""
    from halo_otel.config.checks import is_endpoint
    from halo_otel.control.client import reachable

    if not is_endpoint(reachable(text)):
        raise ConfigError(f"--endpoint: {text!r} is not host:port: write it like localhost:14317")
    return text
