"""`import`: the traces that a running Langfuse or Phoenix holds, into a file or to a receiver."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.options import ConfigOption
from halo_otel.cli.receiver import Given, HeaderOption, TlsCaOption, TokenFileOption
from halo_otel.cli.terminal import note, progress
from halo_otel.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock
from halo_otel.errors import ConfigError

if TYPE_CHECKING:
    from halo_otel.cli.sending import Send
    from halo_otel.importers.api import Api
    from halo_otel.importers.pull import Sink, State
    from halo_otel.importers.servers import Server
    from halo_otel.model.span import Span

PROBLEMS_SHOWN = 10  # the rest is counted

app = typer.Typer(
    help="Bring the traces that a running Langfuse or Phoenix holds.", no_args_is_help=True
)

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write OTLP JSON lines; gzipped for *.gz."),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Send over OTLP/gRPC instead, as `replay` does."),
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", formats=_TIMES, help="Spans that start at or after it, in UTC."),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", formats=_TIMES, help="Spans that start before it (default: now)."),
]
NameOption = Annotated[str, typer.Option(metavar="TEXT", help="Traces of this name only.")]
SessionOption = Annotated[str, typer.Option(metavar="ID", help="Of this session only.")]
UserOption = Annotated[str, typer.Option(metavar="ID", help="Of this user only.")]
KeyFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The key, instead of the variables.")
]
ResumeOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keep there how far it is; a later run goes on, then brings what is new.",
    ),
]
PageSizeOption = Annotated[
    int, typer.Option(min=1, max=1000, help="Spans in one answer; the servers give up to 1000.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the commands have in common."""

    asked: str
    since: datetime | None
    until: datetime | None
    out: Path | None
    to: Given
    resume: Path | None


@app.command()
def langfuse(
    url: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The server.", envvar=["LANGFUSE_BASE_URL", "LANGFUSE_HOST"]
        ),
    ] = "https://cloud.langfuse.com",
    out: OutOption = None,
    endpoint: EndpointOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    name: NameOption = "",
    session: SessionOption = "",
    user: UserOption = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="With this tag; again for another.")
    ] = None,
    key_file: KeyFileOption = None,
    resume: ResumeOption = None,
    page_size: PageSizeOption = 500,
    config: ConfigOption = None,
    header: HeaderOption = None,
    token_file: TokenFileOption = None,
    tls_ca: TlsCaOption = None,
) -> None:
    """From Langfuse; the project is the key's: LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY.

    A key file holds both, in this order, on two lines or as `public:secret`.
    """
    from halo_otel.importers.servers import Filters, Langfuse, langfuse_headers

    public, secret = _langfuse_key(key_file)
    asked = ["langfuse", url, name, session, user, *sorted(tag or ())]

    def server(since_ns: int | None, until_ns: int, clock: Clock) -> "Server":
        filters = Filters(
            since_ns=since_ns,
            until_ns=until_ns,
            name=name,
            session=session,
            user=user,
            tags=tuple(tag or ()),
        )
        return Langfuse(_api(url, langfuse_headers(public, secret), clock), filters, page_size)

    to = Given(
        endpoint=endpoint, config=config, header=header, token_file=token_file, tls_ca=tls_ca
    )
    _import(_wanted(asked, since, until, out, to, resume), server)


@app.command()
def phoenix(
    url: Annotated[
        str, typer.Option(metavar="URL", help="The server.", envvar="PHOENIX_COLLECTOR_ENDPOINT")
    ] = "http://localhost:6006",
    out: OutOption = None,
    endpoint: EndpointOption = None,
    project: Annotated[str, typer.Option(metavar="NAME", help="The project.")] = "default",
    since: SinceOption = None,
    until: UntilOption = None,
    name: Annotated[str, typer.Option(metavar="TEXT", help="Spans of this name only.")] = "",
    session: SessionOption = "",
    user: UserOption = "",
    key_file: KeyFileOption = None,
    resume: ResumeOption = None,
    page_size: PageSizeOption = 500,
    config: ConfigOption = None,
    header: HeaderOption = None,
    token_file: TokenFileOption = None,
    tls_ca: TlsCaOption = None,
) -> None:
    """From Phoenix; where it asks for a key: PHOENIX_API_KEY."""
    from halo_otel.config.load import variable
    from halo_otel.importers.servers import Filters, Phoenix, phoenix_headers

    key = variable("PHOENIX_API_KEY") if key_file is None else _key_text(key_file)
    asked = ["phoenix", url, project, name, session, user]

    def server(since_ns: int | None, until_ns: int, clock: Clock) -> "Server":
        filters = Filters(
            since_ns=since_ns, until_ns=until_ns, name=name, session=session, user=user
        )
        return Phoenix(_api(url, phoenix_headers(key), clock), filters, page_size, project)

    to = Given(
        endpoint=endpoint, config=config, header=header, token_file=token_file, tls_ca=tls_ca
    )
    _import(_wanted(asked, since, until, out, to, resume), server)


def _langfuse_key(file: Path | None) -> tuple[str, str]:
    """Public and secret key. Raises ConfigError."""
    from halo_otel.config.load import variable

    if file is None:
        public, secret = variable("LANGFUSE_PUBLIC_KEY"), variable("LANGFUSE_SECRET_KEY")
        where = "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY must be set (or give --key-file)"
    else:
        public, _, secret = ":".join(_key_text(file).split()).partition(":")
        where = f"{file} must hold the public and the secret key, as public:secret"
    if not public or not secret:
        raise ConfigError(where)
    return public, secret


def _key_text(file: Path) -> str:
    try:
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--key-file: {file} cannot be read as a key: {error}") from error
    if not all(line.isprintable() for line in key.splitlines()):
        raise ConfigError(f"--key-file: {file} holds no key")
    return key


def _api(url: str, headers: Mapping[str, str], clock: Clock) -> "Api":
    from halo_otel.importers.api import Api

    return Api(url, headers, clock)


def _wanted(
    asked: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    out: Path | None,
    to: Given,
    resume: Path | None,
) -> _Wanted:
    """Raises ConfigError unless it is clear where to."""
    if (out is None) == (to.endpoint is None):
        raise ConfigError("give either --out FILE or --endpoint HOST:PORT")
    where = str(out) if out else f"{to.endpoint}"
    return _Wanted(
        asked=" ".join(map(repr, (*asked, str(since or ""), str(until or ""), where))),
        since=since,
        until=until,
        out=out,
        to=to,
        resume=resume,
    )


def _import(wanted: _Wanted, server: "Callable[[int | None, int, Clock], Server]") -> None:
    from halo_otel.importers.pull import begin

    clock = SystemClock()
    now_ns = clock.now_ns() // NS_PER_MS * NS_PER_MS  # the servers are asked in milliseconds
    until_ns = now_ns if wanted.until is None else _ns(wanted.until)
    since_ns = None if wanted.since is None else _ns(wanted.since)
    state = begin(wanted.resume, wanted.asked, since_ns, until_ns)
    source = server(state.since_ns, state.until_ns, clock)
    refused = asyncio.run(_run(wanted, state, source, clock))
    if refused:
        raise typer.Exit(1)


def _ns(moment: datetime) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp()) * NS_PER_S


async def _run(wanted: _Wanted, state: "State", source: "Server", clock: Clock) -> int:
    """How many requests the receiver refused."""
    from halo_otel.importers.pull import FileSink, Totals, pull, save_to

    problems = _Problems()
    sending: _Sending | None = None
    async with AsyncExitStack() as stack:
        sink: Sink
        if wanted.out is not None:
            sink = file = FileSink(wanted.out, state.out_bytes)
            await asyncio.to_thread(file.open)
        else:
            sink = sending = await _Sending.open(stack, wanted.to, clock)
        bar = stack.enter_context(progress())
        task = bar.add_task("importing", total=None, detail="")

        def show(totals: Totals) -> None:
            bar.update(task, detail=f"{totals.spans:,} spans")

        totals = await pull(
            source,
            sink,
            state,
            save=save_to(wanted.resume),
            on_page=show,
            on_problem=problems,
        )
    problems.sum_up()
    print(
        f"{totals.spans:,} spans in {totals.pages:,} pages, {totals.doubles:,} of them twice, "
        f"{totals.problems:,} unreadable"
    )
    return sending.totals.refused_requests if sending else 0


class _Sending:
    """Spans to a receiver, each page at once."""

    def __init__(self, send: "Send", clock: Clock) -> None:
        from halo_otel.cli.sending import Delivery

        self._delivery = Delivery(send, clock, lambda totals: None, note)
        self.totals = self._delivery.totals

    @classmethod
    async def open(cls, stack: AsyncExitStack, to: Given, clock: Clock) -> "_Sending":
        from halo_otel.cli.sending import over_grpc

        return cls(await stack.enter_async_context(over_grpc(to.target())), clock)

    async def take(self, spans: "Sequence[Span]") -> int:
        """Return once the receiver has answered for all of `spans`."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        from halo_otel.otlp.encode import requests

        await self._delivery.run(map(ExportTraceServiceRequest.FromString, requests(spans)))
        return 0


class _Problems:
    """Shows the first unreadable spans and counts them all."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, why: str) -> None:
        self._count += 1
        if self._count <= PROBLEMS_SHOWN:
            note(f"skipped: {why}")

    def sum_up(self) -> None:
        if self._count > PROBLEMS_SHOWN:
            note(f"{self._count} spans were skipped, {PROBLEMS_SHOWN} of them are shown")
