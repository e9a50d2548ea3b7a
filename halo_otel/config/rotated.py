"""Secrets of requests we send, in files that are replaced while we run, as Kubernetes does with projected ones."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from halo_otel.config import tree
from halo_otel.config.checks import header_problems, is_header_value
from halo_otel.errors import ConfigError

T = TypeVar("T")
_HEADERS = TypeAdapter(dict[str, str])


class Rotated(Generic[T]):
    """What the setting `key` holds, read again before each use: a file of that size costs less than knowing
    whether it changed. Without a `file` it stays `value`.
    """

    def __init__(
        self, key: str, file: Path | None, value: T, parse: Callable[[str, str], T]
    ) -> None:
        """`parse` takes the key and the text, and raises ConfigError or `tree.Unreadable`."""
        self.value = value
        self._key = key
        self._file = file
        self._parse = parse
        self._text: str | None = None  # as it was last seen
        self._trouble = ""  # why it could not be read

    def read(self) -> None:
        """Take up what the file holds now; blocks.

        Raises ConfigError that names the key, once for the same content, and keeps what it had.
        """
        if self._file is None:
            return
        try:
            text = tree.text(self._file)
        except tree.Unreadable as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                raise self._bad(error) from error
            return
        self._trouble = ""
        if text != self._text:
            self._text = text
            try:
                self.value = self._parse(self._key, text)
            except tree.Unreadable as error:
                raise self._bad(error) from error

    def _bad(self, why: tree.Unreadable) -> ConfigError:
        return ConfigError(f"{self._key}: {self._file} {why}")


def headers(key: str, file: Path | None, value: Mapping[str, str]) -> Rotated[Mapping[str, str]]:
    """Headers in a YAML or JSON file."""
    return Rotated(key, file, value, _headers)


def secret(key: str, file: Path | None, value: str | None) -> Rotated[str | None]:
    """One key in a file of its own."""
    return Rotated(key, file, value, _secret)


def _headers(key: str, text: str) -> Mapping[str, str]:
    try:
        found = _HEADERS.validate_python(tree.parse(text))
    except ValidationError:  # its words quote the file
        raise tree.Unreadable("holds a value that is no text: put it into quotes") from None
    if not found:
        raise tree.Unreadable("is empty: write the headers into it")
    for problem in header_problems(key, found):
        raise ConfigError(problem)
    return found


def _secret(key: str, text: str) -> str:
    found = text.strip()
    if not found or not is_header_value(found):
        raise tree.Unreadable("is empty or not printable ASCII: is it the key?")
    return found
