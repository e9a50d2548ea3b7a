"""`code_tree`, `code_read`, `code_grep`: the agents' source code, if it was given."""

from typing import Any, Final

from pydantic import Field

from halo_otel.codebase.tree import PATH_CHARS_MAX, PATTERN_CHARS_MAX, Codebase
from halo_otel.recursion.environment.arguments import Arguments, Paged
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, clipped, page

LINES_MAX: Final = 400
_LINE_CHARS_MAX: Final = 500


class CodeTree(Paged):
    """The files of the agents' source code with their sizes; folders deeper than `depth` are summed up."""

    path: str = Field("", max_length=PATH_CHARS_MAX, description="a folder; empty: all")
    depth: int = Field(2, ge=1, le=8, description="folders to unfold, 1 to 8")


class CodeRead(Arguments):
    """Lines of a file of the agents' source code, with their numbers. Citations of code come from here."""

    path: str = Field(min_length=1, max_length=PATH_CHARS_MAX)
    first_line: int = Field(1, ge=1)
    lines: int = Field(100, ge=1, le=LINES_MAX, description=f"how many, at most {LINES_MAX}")


class CodeGrep(Paged):
    """Lines of the agents' source code that match a pattern, by file and line. RE2 syntax."""

    pattern: str = Field(min_length=1, max_length=PATTERN_CHARS_MAX)
    glob: str = Field("*", max_length=200, description="of paths, like **/*.py")
    ignore_case: bool = False


def code_of(environment: Environment) -> Codebase:
    """The source code, which tools about it are only called with."""
    assert environment.code is not None
    return environment.code


def tree(environment: Environment, asked: CodeTree) -> Reply:
    """The entries of a folder. Raises NotFound."""
    entries = code_of(environment).tree(asked.path, depth=asked.depth)
    items = [
        {
            "path": one.path,
            "files": one.files if one.path.endswith("/") else None,
            "bytes": one.size_bytes,
        }
        for one in entries[asked.offset :]
    ]
    return paged(environment, asked, items, len(entries))


def read(environment: Environment, asked: CodeRead) -> Reply:
    """The lines of a file. Raises NotFound."""
    lines = code_of(environment).lines(asked.path)
    start = asked.first_line - 1
    items = [
        {"line": number, "text": clipped(environment.shown(text), _LINE_CHARS_MAX)}
        for number, text in enumerate(lines[start : start + asked.lines], asked.first_line)
    ]
    return page(
        environment.fence,
        items,
        head={"path": asked.path, "lines": len(lines)},
        offset=min(start, len(lines)),
        total=len(lines),
        bytes_max=asked.bytes_max,
        more="a later first_line",
    )


def grep(environment: Environment, asked: CodeGrep) -> Reply:
    """The lines that match. Raises BadRequest."""
    found, is_all = code_of(environment).matches(
        asked.pattern, asked.glob, ignore_case=asked.ignore_case
    )
    items = [
        {
            "path": one.path,
            "line": one.line,
            "text": clipped(environment.shown(one.text), _LINE_CHARS_MAX),
        }
        for one in found[asked.offset :]
    ]
    head = None if is_all else {"searched": "not everything: narrow the glob or the pattern"}
    return paged(environment, asked, items, len(found), head)


def paged(
    environment: Environment,
    asked: Paged,
    items: list[dict[str, Any]],
    total: int,
    head: dict[str, Any] | None = None,
) -> Reply:
    """The items from the asked offset on, of `total`."""
    return page(
        environment.fence,
        items,
        head=head,
        offset=asked.offset,
        total=max(total, asked.offset),
        bytes_max=asked.bytes_max,
    )
