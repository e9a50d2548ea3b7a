"""`windows`, `traces`, `tree`: what the service keeps, down to the goals of one trace."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.options import ConfigOption, EndpointOption, connect, load
from halo_otel.cli.terminal import console, duration, note, safe, write, write_table
from halo_otel.clock import NS_PER_S
from halo_otel.reports.words import clip, moment

if TYPE_CHECKING:
    from rich.text import Text

    from halo_otel.model.goal import GoalNode

NODES_SHOWN = 2000  # of a tree on the terminal; the JSON has them all
_STYLES = {"suspect": "yellow", "bad": "red", "recovered": "cyan"}


class TreeFormat(StrEnum):
    """How a tree is written."""

    TREE = "tree"
    JSON = "json"


def windows(endpoint: EndpointOption = None, config: ConfigOption = None) -> None:
    """The windows that the running service keeps, oldest first."""
    with connect(endpoint, config) as client:
        kept = client.windows()
    if not kept:
        print("No windows yet: nothing has arrived.")
        return
    write_table(
        ("start", "end", "state", "spans", "log records", "bytes", "file"),
        [
            (
                moment(window.start_ns),
                moment(window.end_ns),
                window.state,
                f"{window.spans:,}",
                f"{window.log_records:,}",
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
    trace_id: Annotated[str, typer.Argument(metavar="TRACE_ID", help="The trace: 32 hex digits.")],
    from_: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Read it from files, not from the service; may be repeated.",
        ),
    ] = None,
    format_: Annotated[
        TreeFormat, typer.Option("--format", "-f", help="How to write the tree.")
    ] = TreeFormat.TREE,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """A trace as a tree of goals: what each took, and where it went wrong."""
    if from_:
        nodes = _read(trace_id.lower(), from_, config)
    else:
        with connect(endpoint, config) as client:
            nodes = client.tree(trace_id)
    if format_ is TreeFormat.JSON:
        _write_json(nodes)
    else:
        _draw(nodes)


def _read(trace_id: str, paths: list[Path], config: Path | None) -> "Sequence[GoalNode]":
    settings = load(config)

    from halo_otel.cli.analyze import BadLines, loading
    from halo_otel.service.offline import tree_from_files

    bad = BadLines()
    with loading(quiet=False) as on_progress:
        nodes = tree_from_files(trace_id, paths, on_progress, bad, window=settings.window)
    bad.sum_up()
    return nodes


def _draw(nodes: "Sequence[GoalNode]") -> None:
    from rich.tree import Tree

    drawn: dict[int, Tree] = {}
    agents: dict[int, str | None] = {}
    shown = nodes[:NODES_SHOWN]
    for node in shown:
        above = drawn.get(node.parent)
        label = _label(node, same_agent=node.agent == agents.get(node.parent))
        drawn[node.index] = Tree(label) if above is None else above.add(label)
        agents[node.index] = node.agent
    for node in shown:
        if node.parent not in drawn:
            console().print(drawn[node.index])
    if left_out := len(nodes) - len(shown):
        note(f"{left_out:,} more goals are not shown: --format json has them all")


def _label(node: "GoalNode", *, same_agent: bool) -> "Text":
    """`name (agent)  1.2 s  530 tokens  correctness bad  <span id>`.

    What goes without saying is left out: the agent of the goal above, and verdicts that are ok.
    """
    from rich.text import Text

    label = Text(clip(safe(node.name)) or "(no name)", style="bold" if node.level <= 2 else "")
    if node.agent and not same_agent:
        label.append(f" ({clip(safe(node.agent))})", "dim")
    label.append(f"  {duration(node.end_ns - node.start_ns)}", "dim")
    if node.tokens is not None:
        label.append(f"  {node.tokens:,} tokens", "dim")
    verdicts = {
        "correctness": node.correctness,
        "latency": node.latency,
        "resources": node.resources,
    }
    for what, verdict in verdicts.items():
        if verdict.value not in ("ok", "unknown"):
            label.append(f"  {what} {verdict.value}", _STYLES[verdict.value])
    if node.span_id:
        label.append(f"  {node.span_id}", "dim")
    return label


def _write_json(nodes: "Sequence[GoalNode]") -> None:
    import json
    from dataclasses import asdict

    from halo_otel.reports.contract import escape

    text = json.dumps([asdict(node) for node in nodes], indent=2, ensure_ascii=False)
    write(escape(text) + "\n", None)
