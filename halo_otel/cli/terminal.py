"""Writing to the terminal, safely: texts out of traces are written by strangers."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from halo_otel.clock import NS_PER_S
from halo_otel.errors import BadRequest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

PLAIN_WIDTH = 2000  # off a terminal there is no right edge: one row is one line


def console(*, stderr: bool = False) -> "Console":
    """A console that takes every text literally: no markup, no emoji codes, no guessed colours."""
    from rich.console import Console

    width = None if (sys.stderr if stderr else sys.stdout).isatty() else PLAIN_WIDTH
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)


def safe(text: str) -> str:
    """`text` on one line without anything that a terminal obeys.

    Controls, escapes, direction marks and other invisible characters show as U+FFFD.
    """
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def styled(text: str, style: str) -> "Text":
    """A safe text in a style."""
    from rich.text import Text

    return Text(safe(text), style=style)


def complain(message: str) -> None:
    """One error or note on standard error; its own line ends stay."""
    for line in message.splitlines() or [""]:
        print(safe(line) if line == line.lstrip() else "  " + safe(line), file=sys.stderr)


def note(message: str) -> None:
    """One line on standard error about how it goes."""
    print(safe(message), file=sys.stderr, flush=True)


def write(text: str, out: Path | None) -> None:
    """A whole result, to a file or to standard output. Raises BadRequest if it cannot be written."""
    if out is None:
        # Bytes, because a terminal's or a pipe's encoding may not have every character.
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.flush()
        return
    try:
        out.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadRequest(f"cannot write {out}: {error.strerror}: give another --out") from error


def write_markdown(text: str, out: Path | None) -> None:
    """Markdown: drawn on a terminal, as it is anywhere else."""
    if out is not None or not sys.stdout.isatty():
        write(text, out)
        return
    from rich.markdown import Markdown

    console().print(Markdown(text, hyperlinks=False))


def write_table(columns: Sequence[str], rows: Iterable[Sequence["str | Text"]]) -> None:
    """A table on standard output; every cell's text must be `safe` already or is plain ours."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        right = column in ("spans", "failed", "log records", "bytes", "tokens", "duration")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def progress() -> "Progress":
    """A progress bar on standard error; silent unless that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    shown = console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        console=shown,
        disable=not shown.is_terminal,
        transient=True,
    )


def duration(nanoseconds: int) -> str:
    """`850 ms`, `12.3 s`, `4 min 05 s`."""
    seconds = nanoseconds / NS_PER_S
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
