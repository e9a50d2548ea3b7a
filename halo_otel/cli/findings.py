"""`findings`, `finding`, `watch`, `mute`, `unmute`: what the running service has found."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.options import (
    ConfigOption,
    EndpointOption,
    OutOption,
    TableFormat,
    connect,
)
from halo_otel.cli.terminal import safe, styled, write, write_markdown, write_table
from halo_otel.clock import NS_PER_S, SystemClock
from halo_otel.errors import BadRequest, NotFound
from halo_otel.model.finding import CATEGORIES, Finding, Severity, Status
from halo_otel.reports.words import moment

if TYPE_CHECKING:
    from halo_otel.control.client import ControlClient
    from halo_otel.findings.values import DroppedClaim

FingerprintArgument = Annotated[
    str, typer.Argument(metavar="FINGERPRINT", help="The finding, or how its fingerprint begins.")
]


class FindingFormat(StrEnum):
    """How one finding is written."""

    MARKDOWN = "markdown"
    JSON = "json"
    PROMPT = "prompt"


_STYLES = {"info": "blue", "warn": "yellow", "error": "red", "fatal": "bold red"}
_ALL = tuple(status.value for status in Status)


def findings(
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Resolved and muted ones too.")
    ] = False,
    status: Annotated[
        list[Status] | None, typer.Option(help="Only with this status; may be repeated.")
    ] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only of this severity.")] = None,
    category: Annotated[
        str | None, typer.Option(help=f"Only of this category: {', '.join(CATEGORIES)}.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="Only of this service.name.")] = None,
    dropped: Annotated[
        bool,
        typer.Option(
            "--dropped", help="Instead: what a model claimed and did not hold, newest first."
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    format_: Annotated[
        TableFormat, typer.Option("--format", "-f", help="How to write the list.")
    ] = TableFormat.TABLE,
    out: OutOption = None,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """Findings of the running service, most important first; open ones unless asked otherwise."""
    from halo_otel.reports import contract, markdown

    if dropped:
        if every or status or severity or category or service:
            raise typer.BadParameter(
                "it goes with --limit, --format and --out", param_hint="--dropped"
            )
        with connect(endpoint, config) as client:
            _dropped(client.dropped_claims(limit), format_, out)
        return
    with connect(endpoint, config) as client:
        found = client.findings(
            statuses=[s.value for s in status] if status else (_ALL if every else ()),
            severity=severity.value if severity else None,
            category=category,
            service=service,
            limit=limit,
        )
    match format_:
        case TableFormat.JSON:
            write(contract.render_findings(found) + "\n", out)
        case TableFormat.MARKDOWN:
            write_markdown(markdown.render_findings(found), out)
        case TableFormat.TABLE:
            _table(found)


def finding(
    fingerprint: FingerprintArgument,
    format_: Annotated[
        FindingFormat,
        typer.Option(
            "--format",
            "-f",
            help="How to write the finding; as a task for a coding agent: prompt.",
        ),
    ] = FindingFormat.MARKDOWN,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """One finding with its evidence and what to do about it."""
    from halo_otel.reports import contract, markdown, prompt

    with connect(endpoint, config) as client:
        found = (client.finding(_whole(client, fingerprint)),)
    match format_:
        case FindingFormat.JSON:
            write(contract.render_findings(found) + "\n", None)
        case FindingFormat.MARKDOWN:
            write_markdown(markdown.render_findings(found), None)
        case FindingFormat.PROMPT:
            write(prompt.render_findings(found), None)


def mute(
    fingerprint: FingerprintArgument,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="How long, e.g. 12h or 7d.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for those who wonder later.")] = "",
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """No more notices about a finding, for good or for a time; it is still counted."""
    until_ns = None if for_ is None else SystemClock().now_ns() + _nanoseconds(for_)
    with connect(endpoint, config) as client:
        found = client.mute(_whole(client, fingerprint), until_ns=until_ns, reason=reason)
    print(f"muted: {safe(found.title)}")


def unmute(
    fingerprint: FingerprintArgument,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """Take back `mute`."""
    with connect(endpoint, config) as client:
        found = client.unmute(_whole(client, fingerprint))
    print(f"{found.status.value}: {safe(found.title)}")


def watch(
    after: Annotated[
        int | None,
        typer.Option(min=0, help="Start behind this transition; 0 tells all that are kept."),
    ] = None,
    endpoint: EndpointOption = None,
    config: ConfigOption = None,
) -> None:
    """Tell every change of a finding as it happens, until Ctrl-C."""
    with connect(endpoint, config) as client:
        for change, found in client.watch(after):
            before = change.before.value if change.before else "unknown"
            print(
                f"{change.seq}  {moment(change.at_ns)}  {before} -> {change.after.value}  "
                f"{found.severity.value}  {safe(found.title)}  {safe(found.fingerprint)}",
                flush=True,
            )


def _nanoseconds(duration: str) -> int:
    from pydantic import TypeAdapter, ValidationError

    from halo_otel.config.section import Duration

    try:
        seconds: float = TypeAdapter(Duration).validate_python(duration)
    except ValidationError as error:
        raise typer.BadParameter(f"{duration!r}: write it like 30m, 12h or 7d") from error
    return round(seconds * NS_PER_S)


def _whole(client: "ControlClient", beginning: str) -> str:
    """The one fingerprint that begins so. Raises NotFound for none and BadRequest for several."""
    found = client.findings(statuses=_ALL, fingerprint_prefix=beginning, limit=2)
    if not found:
        raise NotFound(f"no finding's fingerprint begins with {beginning!r}: see `findings --all`")
    if len(found) > 1:
        raise BadRequest(f"several fingerprints begin with {beginning!r}: give more of it")
    return found[0].fingerprint


def _table(found: tuple[Finding, ...]) -> None:
    from halo_otel.reports.words import share, wasted

    if not found:
        print("No findings.")
        return
    write_table(
        ("severity", "status", "finding", "affected", "wasted", "fingerprint"),
        [
            (
                styled(f.severity.value, _STYLES[f.severity.value]),
                f.status.value,
                safe(f.title),
                share(f.impact),
                wasted(f.impact),
                safe(f.fingerprint),
            )
            for f in found
        ],
    )


def _dropped(claims: "tuple[DroppedClaim, ...]", format_: TableFormat, out: Path | None) -> None:
    from halo_otel.reports import dropped
    from halo_otel.reports.words import about

    match format_:
        case TableFormat.JSON:
            write(dropped.as_json(claims) + "\n", out)
        case TableFormat.MARKDOWN:
            write_markdown(dropped.as_markdown(claims), out)
        case TableFormat.TABLE if not claims:
            print(dropped.NONE)
        case TableFormat.TABLE:
            columns = ("time", "reason", "claim", "why it did not hold", "about", "group", "model")
            write_table(
                columns,
                [
                    (
                        moment(claim.at_ns),
                        safe(claim.reason),
                        safe(claim.statement or dropped.UNREAD),
                        safe(claim.why),
                        safe(about(claim.subject)),
                        safe(claim.cluster or ""),
                        safe(claim.asked),
                    )
                    for claim in claims
                ],
            )
