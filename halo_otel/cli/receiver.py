"""Which receiver traces are sent to, and what is said there of who we are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import SplitResult, urlsplit

import typer

from halo_otel.cli.model import headers_of
from halo_otel.cli.options import load, reach
from halo_otel.errors import BadRequest

if TYPE_CHECKING:
    from halo_otel.config.sections import Config
    from halo_otel.config.transport import ClientTls, Listener

_PANEL = "Receiver"

HeaderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        "-H",
        metavar="NAME: VALUE",
        help="A header (gRPC: metadata) to send; may be repeated.",
        rich_help_panel=_PANEL,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Send the first token in it; the service of the configuration is sent its own.",
        rich_help_panel=_PANEL,
    ),
]
TlsCaOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        help="TLS, and CA certificates in PEM the receiver's is checked by.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A receiver: `host:port` and a path, TLS (None: plain text), and headers, whose names are lowercase."""

    address: str
    path: str = ""
    tls: "ClientTls | None" = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the options say of the receiver."""

    endpoint: str | None
    http: bool = False
    config: Path | None = None
    header: list[str] | None = None
    token_file: Path | None = None
    tls_ca: Path | None = None

    def target(self) -> Target:
        """The receiver. The service of the configuration is reached as every command reaches it; another one is
        told only what the options say: nobody else is sent our token. Raises ConfigError, BadRequest.
        """
        from halo_otel.control.client import reachable

        settings = load(self.config)
        protocols = settings.receivers.otlp.protocols
        server = protocols.http if self.http else protocols.grpc
        if self.endpoint is None or self.endpoint == reachable(server.endpoint):
            target = self._ours(settings, server)
        else:
            target = self._other(self.endpoint)
        if headers := headers_of(self.header):
            given = {name.lower(): value for name, value in headers.items()}
            return Target(
                address=target.address,
                path=target.path,
                tls=target.tls,
                headers={**target.headers, **given},
            )
        return target

    def _ours(self, settings: "Config", server: "Listener") -> Target:
        reached = reach(settings.control, server, None)
        tls = reached.tls
        if self.tls_ca is not None:
            tls = _tls(self.tls_ca, tls)
        token = reached.token if self.token_file is None else _first_token(self.token_file)
        return Target(address=reached.where, tls=tls, headers=_bearer(token))

    def _other(self, endpoint: str) -> Target:
        from halo_otel.config.reach import is_local

        address = _address(endpoint)
        is_tls = address.scheme == "https" or self.tls_ca is not None
        token = None if self.token_file is None else _first_token(self.token_file)
        if token and not is_tls and "://" not in endpoint and not is_local(address.netloc):
            raise BadRequest(
                f"--token-file: the token would go to {address.netloc} in plain text: write https:// before"
                " it for TLS, or http:// if that is meant"
            )
        return Target(
            address=address.netloc,
            path=address.path,
            tls=_tls(self.tls_ca) if is_tls else None,
            headers=_bearer(token),
        )


def _tls(ca_file: Path | None, tls: "ClientTls | None" = None) -> "ClientTls":
    from halo_otel.config.transport import ClientTls

    return (tls or ClientTls()).model_copy(update={"ca_file": ca_file})


def _first_token(file: Path) -> str:
    from halo_otel.receiver.tokens import read_tokens

    return read_tokens(file, "--token-file")[0].decode("ascii")


def _bearer(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _address(endpoint: str) -> SplitResult:
    """`host:port` or a URL. Raises BadRequest for anything else."""
    address = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise BadRequest(f"{endpoint!r} is no endpoint: write it like localhost:4317")
    return address
