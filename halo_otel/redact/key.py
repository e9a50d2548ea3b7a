"""The secret of the keyed hashes."""

import os
import secrets
from pathlib import Path
from typing import Final

from halo_otel.errors import ConfigError, Unwritable

KEY_BYTES: Final = 32
_BYTES_MIN: Final = 16  # 128 bits: what cannot be guessed
_BYTES_MAX: Final = 64  # of more BLAKE2b makes no use (RFC 7693 §2.9)


def load_key(file: Path) -> bytes:
    """The bytes in `file`, without white space around them; where there is none, made and readable by us alone.

    Raises `ConfigError` for a file that is no key, `Unwritable` where none can be made.
    """
    try:
        key = file.read_bytes().strip()
    except FileNotFoundError:
        key = _made(file)
    except OSError as error:
        raise ConfigError(
            f"redaction.key_file: cannot read {file} ({error.strerror}): make it readable for this process"
        ) from error
    if not _BYTES_MIN <= len(key) <= _BYTES_MAX:
        raise ConfigError(
            f"redaction.key_file: {file} holds {len(key)} bytes: write {_BYTES_MIN} to {_BYTES_MAX} random ones into it,"
            " or move it away and one is made"
        )
    return key


def _made(file: Path) -> bytes:
    """A new key, in `file` as a whole or not at all; that of whoever was first."""
    made = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(secrets.token_hex(KEY_BYTES // 2).encode())
            written.flush()
            os.fsync(written.fileno())
        try:
            os.link(made, file)
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return file.read_bytes().strip()
    except OSError as error:
        raise Unwritable(
            f"{file} cannot be written ({error.strerror}): make room, or name a key as redaction.key_file"
        ) from error
