"""Who changed what and when: a repository's log, blame and show. People's names stay in the repository."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from halo_otel.codebase.git import Git
from halo_otel.codebase.secrets import is_secret
from halo_otel.errors import BadRequest, NotFound

COMMIT: Final = r"^[0-9a-f]{7,64}$"
DAY: Final = r"^\d{4}-\d{2}-\d{2}$"
_FIELD: Final = "\x1f"
_FORMAT: Final = f"--format=%H{_FIELD}%cs{_FIELD}%s"
_SHOWN_FILES_MAX: Final = 50  # of one commit; each is a call of git
# What git-log(1) would otherwise take from the repository's configuration, or run.
_PLAIN: Final = (
    *("--no-color", "--no-notes", "--no-show-signature", "--no-decorate", "--encoding=UTF-8"),
    *("--relative", "--no-ext-diff", "--no-textconv", "--no-renames", "--submodule=short", "--ignore-submodules=all"),
    *("--diff-merges=first-parent", "-O/dev/null"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit; `day` is the committer's date."""

    commit: str
    day: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """A line as it is committed, and the commit that it comes from."""

    line: int
    text: str
    commit: str
    day: str
    subject: str


class History:
    """The history of the files below a root. `named` gives a path in its one spelling, or
    raises NotFound for what must not be named."""

    def __init__(self, git: Git, named: Callable[[str], str]) -> None:
        self._git = git
        self._named = named

    def log(
        self,
        path: str = "",
        *,
        limit: int,
        since: str | None = None,
        until: str | None = None,
        text: str | None = None,
    ) -> list[Commit]:
        """The latest commits that changed `path`, from the day `since` to the day `until` (UTC), whose message
        holds `text`. Raises NotFound and BadRequest."""
        path = self._named(path)
        options = [f"--max-count={limit}", _FORMAT, "-z", *_PLAIN]
        for name, day, hour in (("since", since, "00:00:00Z"), ("until", until, "23:59:59Z")):
            if day is not None:  # a day without an hour would mean this hour of it
                options.append(f"--{name}={_matched(DAY, day, 'a day like 2026-11-21')}T{hour}")
        if text is not None:
            options += ["--fixed-strings", "--regexp-ignore-case", f"--grep={_line(text)}"]
        answer = self._git.ask("log", *options, "HEAD", path=path)
        return [_commit(record) for record in answer.split("\0") if record]

    def blame(self, path: str, first: int, last: int) -> list[Blamed]:
        """The lines `first` to `last` of a file as it is committed. Raises NotFound."""
        path = self._named(path)
        options = ["--line-porcelain", "--no-textconv", f"-L{int(first)},{int(last)}", "HEAD"]
        lines: list[Blamed] = []
        commit, number, facts = "", 0, {"committer-time": "0", "summary": ""}
        for row in self._git.ask("blame", *options, path=path).split("\n"):
            if row.startswith("\t"):
                day = (
                    datetime.fromtimestamp(int(facts["committer-time"]), tz=UTC).date().isoformat()
                )
                lines.append(
                    Blamed(
                        line=number, text=row[1:], commit=commit, day=day, subject=facts["summary"]
                    )
                )
            elif found := re.match(r"([0-9a-f]{40,64}) \d+ (\d+)", row):
                commit, number = found[1], int(found[2])
            else:
                name, _, value = row.partition(" ")
                facts[name] = value
        return lines

    def show(self, commit: str, path: str = "") -> tuple[Commit, list[str]]:
        """A commit and the lines of its changes, of `path` or of all files that may be shown, at most
        fifty. Raises NotFound and BadRequest."""
        path = self._named(path)
        # Only a commit: the id of a file's content would show it whatever its path is.
        wanted = f"{_matched(COMMIT, commit, 'the hex digits of a commit')}^{{commit}}"
        head, *rows = self._git.ask(
            "show", *_PLAIN, f"{_FORMAT}%x00", "--name-only", "-z", wanted
        ).split("\0")
        if not head:
            raise NotFound(f"commit {commit} changes nothing that is shown")
        found = (name for row in rows if (name := row.lstrip("\n")) and not is_secret(name))
        names = [name for name in found if f"{name}/".startswith(f"{path}/" if path else "")]
        lines: list[str] = []
        for name in names[:_SHOWN_FILES_MAX]:
            lines += self._changes(wanted, name)
        if len(names) > _SHOWN_FILES_MAX:
            lines.append(f"({len(names) - _SHOWN_FILES_MAX} further files: name a path)")
        return _commit(head), lines

    def _changes(self, wanted: str, name: str) -> list[str]:
        answer = self._git.ask("show", *_PLAIN, "--format=", "--patch", wanted, path=name)
        return answer.rstrip("\n").split("\n")


def _commit(record: str) -> Commit:
    commit, day, subject = record.split(_FIELD, 2)
    return Commit(commit=commit, day=day, subject=subject)


def _matched(pattern: str, text: str, what: str) -> str:
    if not re.fullmatch(pattern.strip("^$"), text, re.ASCII):
        raise BadRequest(f"this is not {what}")
    return text


def _line(text: str) -> str:
    if not text or not text.isprintable():
        raise BadRequest("give a piece of one line of a message")
    return text


def absent(path: str) -> NotFound:
    """What is said of every path that is not shown, whatever the reason: one could learn from it."""
    return NotFound(f"no file {path[:200]!r} is shown")
