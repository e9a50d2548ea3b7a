"""The files of a code base: listed, read, searched."""

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

from halo_otel.codebase.git import Git, git_of
from halo_otel.codebase.history import History, absent
from halo_otel.codebase.secrets import holds_key, is_secret
from halo_otel.errors import BadRequest, ConfigError, NotFound

FILE_BYTES_MAX: Final = 1 << 20  # larger ones were written by machines
FILES_MAX: Final = 50_000
SEARCHED_BYTES_MAX: Final = 32 << 20  # by one search: two seconds
MATCHES_MAX: Final = 500
PATTERN_CHARS_MAX: Final = 200
PATH_CHARS_MAX: Final = 500
_REPEATS_MAX: Final = 100  # RE2's time is that of the text times the pattern written out
_LINE_CHARS_MAX: Final = 2_000  # of a line that are searched
_BINARY_BYTES: Final = 8_000  # git takes a file with a NUL among the first of them for binary
_REPEAT: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")
# Where there is no git to say what is no source: what tools install and make.
_MADE: Final = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, or a folder that is not unfolded and ends in `/`; `size_bytes` and `files` in all."""

    path: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line that a pattern matches."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Codebase:
    """A directory of source code; made by `open`. Paths are relative to it, with `/`. It may be used from
    several threads; every call looks at the files as they are then."""

    root: Path
    git: Git | None

    @classmethod
    def open(cls, path: Path) -> "Codebase":
        """The code at `path`. Raises ConfigError if there is none that may be shown."""
        root = path.resolve()
        if not root.is_dir():
            raise ConfigError(
                f"llm.code: {path} is no directory: name the one with the agents' code"
            )
        code = cls(root=root, git=git_of(root))
        try:
            found = code.files()
        except NotFound as error:
            raise ConfigError(f"llm.code: {path}: {error}: is the repository damaged?") from error
        if not found:
            raise ConfigError(f"llm.code: {path} holds no file that may be shown: name another one")
        return code

    @property
    def history(self) -> History | None:
        """The history of the files; None if there is no repository, or no git."""
        return None if self.git is None else History(self.git, self._named)

    def files(self, below: str = "") -> list[str]:
        """The paths of all files that may be shown, sorted, at most FILES_MAX. Raises NotFound."""
        below = self._named(below)
        real: dict[str, bool] = {}
        found = []
        for path in sorted(self._listed(below)):
            folder = os.path.dirname(path)
            if folder not in real:
                place = str(self.root / folder)
                real[folder] = os.path.realpath(place) == place
            if real[folder] and _is_sayable(path) and self._size_bytes(path) is not None:
                found.append(path)
        return found[:FILES_MAX]

    def tree(self, below: str = "", *, depth: int) -> list[Entry]:
        """The files of a folder, those deeper than `depth` folders summed up. Raises NotFound."""
        below = self._named(below)
        sums: dict[str, tuple[int, int]] = {}
        start = len(PurePosixPath(below).parts)
        for path in self.files(below):
            parts = PurePosixPath(path).parts
            name = path if len(parts) - start <= depth else "/".join(parts[: start + depth]) + "/"
            files, size_bytes = sums.get(name, (0, 0))
            sums[name] = (files + 1, size_bytes + (self._size_bytes(path) or 0))
        return [Entry(path=p, files=n, size_bytes=size) for p, (n, size) in sorted(sums.items())]

    def lines(self, path: str) -> list[str]:
        """A file's lines, undecodable bytes as U+FFFD. Raises NotFound, also for what is no text."""
        path = self._named(path)
        if path not in self.files(path):
            raise absent(path)
        text = self._text(path)
        if text is None:
            raise NotFound(
                f"{path[:200]!r} is binary, larger than 1 MiB, or holds a key: not shown"
            )
        return _lines(text)

    def matches(
        self, pattern: str, glob: str = "*", *, below: str = "", ignore_case: bool = False
    ) -> tuple[list[Match], bool]:
        """Lines of files like `glob` (`*` also matches `/`) that match an RE2 pattern, in order, at most
        MATCHES_MAX; and whether everything was searched. Raises BadRequest and NotFound."""
        _admit(pattern)
        glob = glob.replace("**/", "*")
        found: list[Match] = []
        left_bytes = SEARCHED_BYTES_MAX
        for path in self.files(below):
            if not fnmatchcase(path, glob) or (text := self._text(path)) is None:
                continue
            left_bytes -= len(text)
            if left_bytes < 0 or len(found) > MATCHES_MAX:
                return found[:MATCHES_MAX], False
            lines = _lines(text)
            hits = _hits(lines, pattern, ignore_case=ignore_case)
            found += (Match(path=path, line=n + 1, text=lines[n]) for n in hits)
        return found[:MATCHES_MAX], len(found) <= MATCHES_MAX

    def _named(self, path: str) -> str:
        """`path` in its one spelling. Raises NotFound for what cannot be the path of a file that is shown,
        whether it exists or not."""
        if path and not _is_sayable(path):
            raise absent(path)
        spelled = PurePosixPath(path).as_posix()
        return "" if spelled == "." else spelled

    def _listed(self, below: str) -> Iterator[str]:
        if self.git is not None:
            options = ("--cached", "--others", "--exclude-standard", "--deduplicate", "-z")
            yield from filter(None, self.git.ask("ls-files", *options, path=below).split("\0"))
            return
        start = self.root / below
        if start.is_file():
            yield below
        for folder, folders, names in os.walk(start):
            folders[:] = [one for one in folders if not one.startswith(".") and one not in _MADE]
            inside = Path(folder).relative_to(self.root)
            yield from ((inside / name).as_posix() for name in names)

    def _size_bytes(self, path: str) -> int | None:
        """None for what is no regular file."""
        try:
            facts = os.lstat(self.root / path)
        except (OSError, ValueError):
            return None
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None

    def _text(self, path: str) -> str | None:
        """What a file that is shown says; None if it is no text, too large, or not to be shown."""
        try:
            handle = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
        except OSError:
            return None
        if len(data) > FILE_BYTES_MAX or b"\0" in data[:_BINARY_BYTES]:
            return None
        text = data.decode("utf-8", "replace").removeprefix("\ufeff")
        return None if holds_key(text) else text


def _is_sayable(path: str) -> bool:
    """Whether this may be the path of a file that is shown: on one line, below the root, no secret."""
    return (
        path.isprintable()
        and len(path) <= PATH_CHARS_MAX
        and not path.startswith(("/", "-", "~"))
        and "\\" not in path
        and ".." not in PurePosixPath(path).parts
        and not is_secret(path)
    )


def _lines(text: str) -> list[str]:
    """As editors and git count them: U+2028, form feeds and the like end no line."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


def _admit(pattern: str) -> None:
    """Raises BadRequest for a pattern that would take long."""
    repeats = math.prod(max(1, int(high or low)) for low, high in _REPEAT.findall(pattern))
    if len(pattern) > PATTERN_CHARS_MAX or repeats > _REPEATS_MAX:
        raise BadRequest(
            f"the pattern is longer than {PATTERN_CHARS_MAX} characters or repeats more than"
            f" {_REPEATS_MAX} times: write a simpler one"
        )


def _hits(lines: list[str], pattern: str, *, ignore_case: bool) -> list[int]:
    """The places of the lines that match. RE2 backtracks never."""
    import pyarrow as pa  # costs 40 MB: only where code is searched
    import pyarrow.compute as pc

    texts = pa.array([line[:_LINE_CHARS_MAX] for line in lines], pa.string())
    try:
        matched = pc.match_substring_regex(texts, pattern, ignore_case=ignore_case)
    except pa.ArrowInvalid as error:
        raise BadRequest(f"the pattern is no RE2: {str(error)[:200]}") from error
    places: list[int] = pc.indices_nonzero(matched).to_pylist()
    return places
