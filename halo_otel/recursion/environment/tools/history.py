"""`git_log`, `git_blame`, `git_show`: what changed in the agents' source code, if it lies in a repository."""

from typing import Final

from pydantic import Field

from halo_otel.codebase.history import COMMIT, DAY, History
from halo_otel.codebase.tree import PATH_CHARS_MAX
from halo_otel.recursion.environment.arguments import Arguments, Paged
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, clipped, page
from halo_otel.recursion.environment.tools.code import LINES_MAX, code_of, paged

_LINE_CHARS_MAX: Final = 500


class GitLog(Paged):
    """The latest commits to the agents' source code: what changed before a finding was first seen?"""

    path: str = Field("", max_length=PATH_CHARS_MAX, description="a file or folder; empty: all")
    since: str | None = Field(None, pattern=DAY, description="a day like 2026-11-21, UTC")
    until: str | None = Field(None, pattern=DAY, description="the last day, UTC")
    grep: str | None = Field(None, max_length=200, description="a piece of the message")
    limit: int = Field(20, ge=1, le=200, description="commits, 1 to 200")


class GitBlame(Arguments):
    """From which commit each line of a file comes, as it is committed."""

    path: str = Field(min_length=1, max_length=PATH_CHARS_MAX)
    first_line: int = Field(ge=1)
    last_line: int = Field(ge=1, description=f"at most {LINES_MAX} lines after the first are told")


class GitShow(Paged):
    """What a commit changed, as a diff."""

    commit: str = Field(pattern=COMMIT, description="hex digits, at least seven")
    path: str = Field("", max_length=PATH_CHARS_MAX, description="only this file or folder")


def log(environment: Environment, asked: GitLog) -> Reply:
    """The commits. Raises NotFound and BadRequest."""
    commits = _history(environment).log(
        asked.path, limit=asked.limit, since=asked.since, until=asked.until, text=asked.grep
    )
    items = [
        {"commit": one.commit[:12], "day": one.day, "subject": _shown(environment, one.subject)}
        for one in commits[asked.offset :]
    ]
    return paged(environment, asked, items, len(commits))


def blame(environment: Environment, asked: GitBlame) -> Reply:
    """The lines and their commits. Raises NotFound."""
    last = min(max(asked.first_line, asked.last_line), asked.first_line + LINES_MAX)
    items = [
        {
            "line": one.line,
            "text": _shown(environment, one.text),
            "commit": one.commit[:12],
            "day": one.day,
            "subject": _shown(environment, one.subject),
        }
        for one in _history(environment).blame(asked.path, asked.first_line, last)
    ]
    return page(environment.fence, items, bytes_max=asked.bytes_max, more="a later first_line")


def show(environment: Environment, asked: GitShow) -> Reply:
    """The changes. Raises NotFound and BadRequest."""
    commit, lines = _history(environment).show(asked.commit, asked.path)
    head = {
        "commit": commit.commit[:12],
        "day": commit.day,
        "subject": _shown(environment, commit.subject),
    }
    items = [{"text": _shown(environment, line)} for line in lines[asked.offset :]]
    return paged(environment, asked, items, len(lines), head)


def _history(environment: Environment) -> History:
    history = code_of(environment).history
    assert history is not None
    return history


def _shown(environment: Environment, text: str) -> str | None:
    return clipped(environment.shown(text), _LINE_CHARS_MAX)
