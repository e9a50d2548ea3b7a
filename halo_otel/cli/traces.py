"""`windows`, `traces`, `tree`: what the service keeps, down to the goals of one trace."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.goals import draw
from halo_otel.cli.options import ConfigOption, EndpointOption, connect, load
from halo_otel.cli.terminal import duration, safe, write, write_table
from halo_otel.clock import NS_PER_S
from halo_otel.errors import BadRequest
from halo_otel.reports.words import clip, moment

if TYPE_CHECKING:
    from halo_otel.model.goal import GoalNode


class TreeFormat(StrEnum):
    """How a tree is written."""

    TREE = "tree"
    JSON = "json"


def windows(endpoint: EndpointOption = None, config: ConfigOption = None) -> None:
    """The windows that the running service keeps, oldest first.

    "let go" counts the spans and log records that were about no agent and are not kept.
    """
    with connect(endpoint, config) as client:
        kept = client.windows()
    if not kept:
        print("No windows yet: nothing has arrived.")
        return
    write_table(
        ("start", "end", "state", "spans", "log records", "let go", "bytes", "file"),
        [
            (
                moment(window.start_ns),
                moment(window.end_ns),
                window.state,
                f"{window.spans:,}",
                f"{window.log_records:,}",
                f"{window.let_go.spans + window.let_go.log_records:,}",
                f"{window.bytes_:,}",
                safe(str(window.path)),
            )
            for window in kept
        ],
    )


def traces(
    window: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"],
            help="Start of a window in UTC, as `windows` shows it (default: the newest window).",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """The traces of a window, newest first, one line each."""
    start_ns = None
    if window is not None:
        start_ns = round(window.replace(tzinfo=UTC).timestamp()) * NS_PER_S
    with connect(endpoint, config) as client:
        found = client.traces(start_ns, limit)
    write_table(
        ("trace", "start", "duration", "spans", "failed", "tokens", "service", "agent", "name"),
        [
            (
                trace.trace_id,
                moment(trace.start_ns),
                duration(trace.end_ns - trace.start_ns),
                f"{trace.spans:,}",
                f"{trace.failed_spans:,}",
                "" if trace.tokens is None else f"{trace.tokens:,}",
                clip(safe(trace.service)),
                clip(safe(trace.agent or "")),
                clip(safe(trace.name)),
            )
            for trace in found
        ],
    )


def tree(
    trace_id: Annotated[
        str, typer.Argument(metavar="[TRACE_ID]", help="The trace: 32 hex digits.")
    ] = "",
    session: Annotated[
        str, typer.Option(metavar="ID", help="All traces of a session, instead of one trace.")
    ] = "",
    from_: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Read it from files, not from the service; may be repeated.",
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Draw so many levels (default: 16).")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Draw every goal: repetitions too, however many.")
    ] = False,
    format_: Annotated[
        TreeFormat, typer.Option("--format", "-f", help="How to write the tree.")
    ] = TreeFormat.TREE,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """A trace or a session as a tree of goals: what each took, and where it went wrong."""
    if bool(trace_id) == bool(session):
        raise BadRequest("give either a trace id or --session ID")
    if from_:
        nodes = _read(trace_id.lower(), session, from_, config)
    else:
        with connect(endpoint, config) as client:
            nodes = client.tree(trace_id, session=session)
    if format_ is TreeFormat.JSON:
        _write_json(nodes)
    else:
        draw(nodes, depth=depth, everything=everything)


def _read(
    trace_id: str, session: str, paths: list[Path], config: Path | None
) -> "Sequence[GoalNode]":
    settings = load(config)

    from halo_otel.cli.analyze import BadLines, loading
    from halo_otel.service.offline import tree_from_files

    bad = BadLines()
    with loading(quiet=False) as on_progress:
        nodes = tree_from_files(
            trace_id, paths, on_progress, bad, session=session, window=settings.window
        )
    bad.sum_up()
    return nodes


def _write_json(nodes: "Sequence[GoalNode]") -> None:
    import json
    from dataclasses import asdict

    from halo_otel.reports.contract import escape

    text = json.dumps([asdict(node) for node in nodes], indent=2, ensure_ascii=False)
    write(escape(text) + "\n", None)
