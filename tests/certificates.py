"""Certificates for tests, made by the openssl command: CAs, and what they sign."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

# The smallest extensions with which today's clients believe a server and servers a client.
_LEAF = """basicConstraints=critical,CA:FALSE
subjectAltName={names}
extendedKeyUsage=serverAuth,clientAuth
"""


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, in PEM."""

    cert: Path
    key: Path

    def copy_to(self, cert: Path, key: Path) -> None:
        """Put both where a server looks for them, as a rotation does."""
        cert.write_bytes(self.cert.read_bytes())
        key.write_bytes(self.key.read_bytes())
        key.chmod(0o600)


class Authority:
    """A CA in `directory`."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._name = name
        self.cert = directory / f"{name}.pem"
        self._key = self._new_key(name)
        _openssl(
            "req", "-x509", "-new", "-key", str(self._key), "-subj", f"/CN={name}", "-days", "2",
            "-out", str(self.cert),
        )  # fmt: skip

    def issue(
        self, name: str, names: str = "DNS:localhost,IP:127.0.0.1,IP:::1", days: int = 1
    ) -> Issued:
        """A certificate for `names`; with `days` below 0 it has expired."""
        stem = f"{self._name}-{name}"
        key = self._new_key(stem)
        request, extensions = self._directory / f"{stem}.csr", self._directory / f"{stem}.ext"
        extensions.write_text(_LEAF.format(names=names), encoding="ascii")
        _openssl("req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-out", str(request))
        cert = self._directory / f"{stem}.pem"
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.cert), "-CAkey", str(self._key),
            "-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(cert),
        )  # fmt: skip
        return Issued(cert, key)

    def _new_key(self, stem: str) -> Path:
        key = self._directory / f"{stem}.key"
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
        key.chmod(0o600)
        return key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
