"""TLS of our own clients, from the files that a configuration names."""

import ssl
from pathlib import Path
from typing import Final

import grpc

from halo_otel.config.transport import ClientTls
from halo_otel.errors import ConfigError

_NAME_OPTIONS: Final = ("grpc.ssl_target_name_override", "grpc.default_authority")


def channel_credentials(tls: ClientTls, key: str) -> grpc.ChannelCredentials:
    """What a gRPC channel needs to speak TLS; blocks. Raises ConfigError that names a key below `key`."""
    return grpc.ssl_channel_credentials(
        root_certificates=_read(f"{key}.ca_file", tls.ca_file),
        private_key=_read(f"{key}.key_file", tls.key_file),
        certificate_chain=_read(f"{key}.cert_file", tls.cert_file),
    )


def name_options(tls: ClientTls) -> tuple[tuple[str, str], ...]:
    """Options of that channel for `server_name_override`, as the Collector's clients take it."""
    name = tls.server_name_override
    return () if name is None else tuple((option, name) for option in _NAME_OPTIONS)


def client_context(tls: ClientTls, key: str) -> ssl.SSLContext:
    """The same for HTTP; whose name is checked is up to the connection. Blocks. Raises ConfigError."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        # As gRPC has it: a server's own certificate may stand for its CA.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"{key}: cannot use its files ({error.strerror}): name readable PEM files that belong together"
        ) from error
    return context


def _read(key: str, file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{key}: cannot read {str(file)!r} ({error.strerror}): name a readable PEM file"
        ) from error
