"""The parts of the configuration that servers and clients share: TLS, tokens, limits of connections."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from halo_otel.config.section import Duration, Section


class ServerTls(Section):
    """TLS of a server; off unless `cert_file` is set."""

    cert_file: Path | None = Field(
        None, description="certificate in PEM with its chain; TLS is on where it is set"
    )
    key_file: Path | None = Field(None, description="its private key in PEM, without a passphrase")
    client_ca_file: Path | None = Field(
        None, description="CA certificates in PEM; clients must show a certificate by one of them"
    )
    reload_interval: Duration = Field(
        60, gt=0, description="how often the files are read again; open connections stay"
    )


class HttpTls(ServerTls):
    # YAML reads 1.3 as a number.
    min_version: Annotated[Literal["1.2", "1.3"], BeforeValidator(str)] = Field(
        "1.2",
        description="oldest TLS a client may speak (gRPC has no such key: its library takes 1.2 and 1.3)",
    )


class Auth(Section):
    """Who may call a server."""

    tokens_file: Path | None = Field(
        None, description="bearer tokens, one a line; a request must carry one of them"
    )
    reload_interval: Duration = Field(60, gt=0, description="how often the file is read again")
    allow_unauthenticated: bool = Field(
        False,
        description="serve other machines, too, without asking for a token or a certificate",
    )


class Listener(Section):
    """What every server has."""

    endpoint: str = "localhost:0"
    tls: ServerTls = ServerTls()
    auth: Auth = Auth()
    max_connections: int = Field(
        4096, ge=1, description="connections open at once; further ones are closed at once"
    )
    handshake_timeout: Duration = Field(
        10, gt=0, description="time in which a new connection must be ready for requests"
    )


class HttpListener(Listener):
    tls: HttpTls = HttpTls()
    handshake_timeout: Duration = Field(10, gt=0, description="time a TLS handshake may take")
    read_header_timeout: Duration = Field(
        10, gt=0, description="time in which a request's header must have come"
    )
    read_timeout: Duration = Field(
        60, gt=0, description="time in which its body must have come after that"
    )
    idle_timeout: Duration = Field(
        60, ge=1, multiple_of=1, description="time a connection is kept between two requests"
    )


class ClientTls(Section):
    """TLS of a client."""

    ca_file: Path | None = Field(
        None, description="CA certificates in PEM the server's is checked by; default: the system's"
    )
    cert_file: Path | None = Field(
        None, description="certificate in PEM to show to a server that asks for one"
    )
    key_file: Path | None = Field(None, description="its private key in PEM, without a passphrase")
    server_name_override: str | None = Field(
        None, min_length=1, description="name the server's certificate must have; default: its host"
    )
