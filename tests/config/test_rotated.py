"""Secrets in files that are replaced while we run."""

from pathlib import Path

import pytest

from halo_otel.config import rotated
from halo_otel.config.given import with_llm
from halo_otel.config.llm import Llm
from halo_otel.config.sections import Config
from halo_otel.errors import ConfigError


def test_what_the_file_says_now_is_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("one\n", encoding="ascii")
    key = rotated.secret("llm.api_key_file", file, "zero")
    key.read()
    assert key.value == "one"
    (tmp_path / "next").write_text("two", encoding="ascii")
    (tmp_path / "next").replace(file)  # as a projected secret is
    key.read()
    assert key.value == "two"


def test_without_a_file_it_stays(tmp_path: Path) -> None:
    key = rotated.secret("llm.api_key_file", None, None)
    key.read()
    assert key.value is None


@pytest.mark.parametrize("bad", ["", "  \n", "sec\tret", "sécret", b"\xff\xfe"])
def test_a_key_that_is_no_good_is_told_once_and_the_old_one_stays(
    tmp_path: Path, bad: str | bytes
) -> None:
    file = tmp_path / "key"
    file.write_text("one", encoding="ascii")
    key = rotated.secret("llm.api_key_file", file, None)
    key.read()
    file.write_bytes(bad.encode() if isinstance(bad, str) else bad)
    with pytest.raises(ConfigError, match=r"llm\.api_key_file: ") as told:
        key.read()
    assert "ret" not in str(told.value).replace("secret", "")
    key.read()
    assert key.value == "one"
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        key.read()
    key.read()
    file.write_text("two", encoding="ascii")
    key.read()
    assert key.value == "two"


@pytest.mark.parametrize(
    "bad", ["", "- a", "a: [", "a: 4711", "a b: x", "x-bin: x", 'a: "s\\u00e9cret"']
)
def test_headers_that_are_no_good_are_told_without_their_values(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "headers.yaml"
    file.write_text(bad, encoding="utf-8")
    headers = rotated.headers("exporters.otlp.headers_file", file, {"a": "old"})
    with pytest.raises(ConfigError, match=r"exporters\.otlp\.headers_file: ") as told:
        headers.read()
    assert not any(value in str(told.value) for value in ("4711", "cret"))
    assert headers.value == {"a": "old"}
    file.write_text("a: new", encoding="utf-8")
    headers.read()
    assert headers.value == {"a": "new"}


def test_what_is_given_for_one_run_is_not_taken_back_by_a_file(tmp_path: Path) -> None:
    llm = Llm(model="m", api_key="a", api_key_file=tmp_path / "key", headers_file=tmp_path / "h")
    given = with_llm(Config(llm=llm), {"api_key": "b"}, "cure").llm
    assert (given.api_key, given.api_key_file) == ("b", None)
    assert given.headers_file == tmp_path / "h"
