"""The key is made once, is nobody else's, and is never half there."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from halo_otel.errors import ConfigError, Unwritable
from halo_otel.redact.key import load_key


def test_it_is_made_once_and_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "redaction.key"
    key = load_key(file)
    assert len(key) == 32
    assert load_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert load_key(tmp_path / "other.key") != key


def test_whoever_starts_at_once_has_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load_key, [tmp_path / "redaction.key"] * 32))) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 65])
def test_a_file_that_is_no_key_stops_the_start(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "redaction.key"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"redaction\.key_file: .* holds \d+ bytes"):
        load_key(file)


def test_a_key_of_the_operators_may_end_its_line(tmp_path: Path) -> None:
    file = tmp_path / "redaction.key"
    file.write_bytes(b"0123456789abcdef\n")
    assert load_key(file) == b"0123456789abcdef"


def test_where_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((Unwritable, ConfigError), match=r"redaction\.key"):
        load_key(tmp_path / "file" / "redaction.key")
