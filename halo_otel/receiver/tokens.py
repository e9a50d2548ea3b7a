"""Bearer tokens from a file (RFC 6750 §2.1), read again while the server runs."""

import hmac
from pathlib import Path
from typing import Literal

from halo_otel.errors import ConfigError

Refusal = Literal["missing", "unknown"]


class Tokens:
    """The tokens of one file: one a line, blank lines between them mean nothing.

    The Collector's `bearertokenauth` calls such a file its `filename`. `read` blocks.
    """

    def __init__(self, file: Path, key: str) -> None:
        self._file = file
        self._key = key
        self._tokens: tuple[bytes, ...] = ()

    def read(self) -> None:
        """Take up what the file says now. Raises ConfigError, and then keeps what it had."""
        self._tokens = read_tokens(self._file, self._key)

    def refusal(self, authorization: str | None) -> Refusal | None:
        """What is wrong with an `Authorization` header; None if it carries one of the tokens."""
        scheme, _, given = (authorization or "").strip().partition(" ")
        # RFC 9110 §11.1: the scheme is case-insensitive.
        if scheme.lower() != "bearer":
            return "missing"
        sent = given.strip().encode()
        # Every token is compared, and each in a time that says nothing of how much of it was right.
        hits = [hmac.compare_digest(sent, token) for token in self._tokens]
        return None if any(hits) else "unknown"


def read_tokens(file: Path, key: str) -> tuple[bytes, ...]:
    """The tokens in `file`. Raises ConfigError that names `key`, and never quotes the file."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(
            f"{key}: cannot read {file} ({error.strerror}): name a file that this user may read"
        ) from error
    tokens = tuple(line.strip() for line in lines if line.strip())
    for token in tokens:
        if not token.isascii() or not token.decode("ascii").isprintable() or b" " in token:
            raise ConfigError(
                f"{key}: {file} holds a line that is no token: printable ASCII, no spaces"
            )
    if not tokens:
        raise ConfigError(f"{key}: {file} holds no token: write one a line")
    return tokens
