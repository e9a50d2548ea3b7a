"""Options that several commands share, and what they mean."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.errors import ConfigError

if TYPE_CHECKING:  # both cost import time; `--help` needs neither
    from halo_otel.config.sections import Config, Control
    from halo_otel.config.transport import ClientTls, Listener, ServerTls
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How a server is spoken to: `where` is host:port, `tls` None for plain text."""

    where: str
    tls: "ClientTls | None"
    token: str | None


def connect(endpoint: str | None, config: Path | None) -> "ControlClient":
    """A client of the running service, not yet entered; see `reach`. Raises ConfigError."""
    from halo_otel.control.client import ControlClient

    settings = load(config)
    reached = reach(settings.control, settings.receivers.otlp.protocols.grpc, endpoint)
    return ControlClient(reached.where, tls=reached.tls, token=reached.token)


def reach(control: "Control", server: "Listener", endpoint: str | None) -> Reached:
    """How to speak to the service of this configuration that listens as `server` says; `control` says how.

    What is not said there is as for that very server, unless `endpoint` names another one: nobody else is
    sent its token. Raises ConfigError.
    """
    from halo_otel.config.transport import Auth, ServerTls
    from halo_otel.control.client import reachable
    from halo_otel.receiver.tokens import read_tokens

    if endpoint is None:
        where, auth, tls = server.endpoint, server.auth, server.tls
    else:
        where, auth, tls = endpoint_given(endpoint), Auth(), ServerTls()
    file = control.token_file or auth.tokens_file
    token = read_tokens(file, "control.token_file")[0].decode("ascii") if file else None
    speaks_tls = _speaks_tls(control, tls, where)
    # Without a CA of its own the service's certificate is trusted as it lies there.
    client_tls = control.tls.model_copy(update={"ca_file": control.tls.ca_file or tls.cert_file})
    return Reached(where=reachable(where), tls=client_tls if speaks_tls else None, token=token)


def _speaks_tls(control: "Control", server: "ServerTls", where: str) -> bool:
    from halo_otel.config.reach import is_local
    from halo_otel.control.client import reachable

    if control.tls.insecure is not None:
        return not control.tls.insecure
    if control.tls.ca_file or control.tls.cert_file or server.cert_file:
        return True
    if control.token_file and not is_local(reachable(where)):
        raise ConfigError(
            f"control.tls.insecure: a token would go to {where}: say false for TLS, or true for plain"
            " text"
        )
    return False


def endpoint_given(text: str) -> str:
    """What `--endpoint` says; `:PORT` means this machine. Raises ConfigError."""
    from halo_otel.config.checks import is_endpoint
    from halo_otel.control.client import reachable

    if not is_endpoint(reachable(text)):
        raise ConfigError(f"--endpoint: {text!r} is not host:port: write it like localhost:14317")
    return text
