"""What must hold of who reaches us and whom we reach: TLS files, tokens, addresses."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from halo_otel.config.sections import Config
from halo_otel.config.transport import ClientTls, Listener

_PAIR: Final = (("cert_file", "key_file"), ("key_file", "cert_file"))


def problems(config: Config) -> Iterator[str]:
    """As `checks.problems`. A server's own files are read when it starts, and again while it runs."""
    protocols = config.receivers.otlp.protocols
    yield from _server("receivers.otlp.protocols.grpc", protocols.grpc)
    yield from _server("receivers.otlp.protocols.http", protocols.http)
    yield from _server("web", config.web)
    exporter, control = config.exporters.otlp.tls, config.control.tls
    yield from _client("exporters.otlp.tls", exporter, plain=exporter.insecure)
    yield from _client("control.tls", control, plain=control.insecure is True)


def is_local(endpoint: str) -> bool:
    """Whether only this machine reaches a server that listens at `endpoint`, a host:port."""
    host = endpoint.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name: what it stands for may change


def _server(key: str, server: Listener) -> Iterator[str]:
    tls = server.tls
    yield from _halves(f"{key}.tls", tls.cert_file, tls.key_file)
    if tls.client_ca_file and not tls.cert_file:
        yield f"{key}.tls.client_ca_file: needs TLS: set {key}.tls.cert_file and key_file, too"
    asks = server.auth.tokens_file or tls.client_ca_file
    if not (is_local(server.endpoint) or asks or server.auth.allow_unauthenticated):
        yield (
            f"{key}.endpoint: {server.endpoint} is reached from other machines, and nobody is asked"
            f" who they are: set {key}.auth.tokens_file or {key}.tls.client_ca_file, listen on"
            f" localhost, or say {key}.auth.allow_unauthenticated: true"
        )


def _client(key: str, tls: ClientTls, *, plain: bool) -> Iterator[str]:
    yield from _halves(key, tls.cert_file, tls.key_file)
    given = [name for name in ("ca_file", "cert_file") if getattr(tls, name)]
    if plain:
        # Who names a certificate expects it to be used.
        for name in given:
            yield f"{key}.{name}: has no effect in plain text: set {key}.insecure: false, or leave it out"
        return
    if tls.ca_file:
        yield from _certificates(f"{key}.ca_file", tls.ca_file)
    if tls.cert_file and tls.key_file:
        yield from _pair(key, tls.cert_file, tls.key_file)


def _halves(key: str, cert_file: Path | None, key_file: Path | None) -> Iterator[str]:
    given = {"cert_file": cert_file, "key_file": key_file}
    for name, other in _PAIR:
        if given[name] and not given[other]:
            yield f"{key}.{other}: is missing: {key}.{name} is of no use without it"


def _certificates(key: str, file: Path) -> Iterator[str]:
    import ssl  # costs start time and is rarely needed

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        yield f"{key}: {file} holds no certificate in PEM: name a file that does"
    except OSError as error:
        yield f"{key}: cannot read {file} ({error.strerror}): name a readable PEM file"


def _pair(key: str, cert_file: Path, key_file: Path) -> Iterator[str]:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password="")
    except ssl.SSLError:
        yield (
            f"{key}.key_file: {key_file} is not the private key of {cert_file}, or one of them is not"
            " PEM without a passphrase: name two that belong together"
        )
    except OSError as error:
        yield f"{key}: cannot read {cert_file} or {key_file} ({error.strerror}): name readable files"
