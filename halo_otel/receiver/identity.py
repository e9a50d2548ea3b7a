"""A server's certificate, its key and the CAs it trusts, from files that are rotated under it."""

import logging
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from halo_otel.config.transport import HttpTls, ServerTls
from halo_otel.errors import ConfigError

logger = logging.getLogger(__name__)

_OLDEST: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# A handshake needs two flights of each side (RFC 8446 §2); more rounds mean that it goes nowhere.
_ROUNDS_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """What the files hold, in PEM."""

    certificate: bytes
    private_key: bytes
    client_ca: bytes | None


class Identity:
    """TLS of one server. `read` blocks and comes first; a rotation serves from the next connection on.

    The files are tried out before they are used: a handshake in memory tells what is wrong with them
    as a client would see it.
    """

    def __init__(self, tls: ServerTls, key: str) -> None:
        assert tls.cert_file is not None, "TLS is off"
        assert tls.key_file is not None, "the configuration was checked"
        self._cert_file, self._key_file = tls.cert_file, tls.key_file
        self._client_ca_file = tls.client_ca_file
        self._oldest = _OLDEST[tls.min_version if isinstance(tls, HttpTls) else "1.2"]
        self._key = key
        self._tried: _Files | None = None
        self._files: _Files | None = None
        self._context: ssl.SSLContext | None = None
        self.expires_s = 0.0  # Unix time at which the certificate does

    def read(self) -> None:
        """Take up what the files hold now.

        Raises ConfigError that names the key, once for the same content, and keeps what it had.
        """
        while True:
            files = self._read()
            if files == self._tried:
                return
            judged = self._judged()
            if self._read() == files:  # else they were being replaced: look again
                break
        self._tried = files
        if isinstance(judged, ConfigError):
            raise judged
        if self._key_file.stat().st_mode & stat.S_IROTH:
            logger.warning("%s.key_file: every user may read it: chmod o-r", self._key)
        self._files = files
        self._context, self.expires_s = judged

    @property
    def context(self) -> ssl.SSLContext:
        """What the next connection is greeted with."""
        assert self._context is not None, "read first"
        return self._context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials for one port, which ask here at each new connection.

        For one port only: gRPC takes up an answer where it asked, so of two ports that shared
        credentials only one would learn of a rotation.
        """
        served = self._files

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal served
            if served is self._files:
                return None
            served = self._files
            return self._configuration()

        mutual = self._client_ca_file is not None
        fetcher: Any = fetch  # the stubs do not know that None means: as before
        return grpc.dynamic_ssl_server_credentials(self._configuration(), fetcher, mutual)

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        files = self._files
        assert files is not None, "read first"
        pairs = [(files.private_key, files.certificate)]
        return grpc.ssl_server_certificate_configuration(pairs, files.client_ca)

    def _read(self) -> _Files:
        ca_file = self._client_ca_file
        return _Files(
            certificate=self._bytes("cert_file", self._cert_file),
            private_key=self._bytes("key_file", self._key_file),
            client_ca=None if ca_file is None else self._bytes("client_ca_file", ca_file),
        )

    def _bytes(self, name: str, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{self._key}.{name}: cannot read {file} ({error.strerror}): name a file that this"
                " user may read"
            ) from error

    def _judged(self) -> tuple[ssl.SSLContext, float] | ConfigError:
        """A context of the files as they are and when the certificate expires, or why there is none."""
        try:
            context = self._with_certificate()
            expires_s = _try_out(context, self._anchor())
            if self._client_ca_file is not None:
                self._load_ca(context, "client_ca_file", self._client_ca_file)
                context.verify_mode = ssl.CERT_REQUIRED
        except ConfigError as error:
            return error
        except ssl.SSLCertVerificationError as error:
            return ConfigError(
                f"{self._key}.cert_file: clients will refuse {self._cert_file}"
                f" ({error.verify_message}): renew it"
            )
        except ssl.SSLError as error:
            return ConfigError(
                f"{self._key}.cert_file: no handshake with {self._cert_file} ({error.reason}): renew it"
            )
        except OSError as error:  # gone since they were read
            return ConfigError(
                f"{self._key}: {error.filename}: {error.strerror}: name readable files"
            )
        return context, expires_s

    def _with_certificate(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._oldest
        context.set_alpn_protocols(["http/1.1"])
        # No resumption: a client whose CA was taken away must not come back by an old session.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        try:
            context.load_cert_chain(self._cert_file, self._key_file, password="")
        except ssl.SSLError as error:
            self._anchor()  # is it the certificate that is at fault?
            raise ConfigError(
                f"{self._key}.key_file: {self._key_file} is not the private key of {self._cert_file},"
                " or no PEM without a passphrase: name the key that belongs to it"
            ) from error
        return context

    def _anchor(self) -> ssl.SSLContext:
        """A client that trusts just our certificate, whatever its name."""
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._load_ca(client, "cert_file", self._cert_file)
        return client

    def _load_ca(self, context: ssl.SSLContext, name: str, file: Path) -> None:
        try:
            context.load_verify_locations(file)
        except ssl.SSLError as error:
            raise ConfigError(
                f"{self._key}.{name}: {file} holds no certificate in PEM: name a file that does"
            ) from error


def _try_out(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> float:
    """A handshake of the two in memory: until when the client believes the server, Unix seconds.

    Raises ssl.SSLError where either refuses.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting: list[Callable[[], None]] = [client.do_handshake, server.do_handshake]
    for _ in range(_ROUNDS_MAX):
        waiting = [step for step in waiting if not _done(step)]
    shown: Any = client.getpeercert()
    return ssl.cert_time_to_seconds(shown["notAfter"])


def _done(step: Callable[[], None]) -> bool:
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True
