"""`replay`: traces from files over OTLP, to halo-otel or to any other receiver."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.analyze import BadLines
from halo_otel.cli.options import ConfigOption
from halo_otel.cli.receiver import Given, HeaderOption, TlsCaOption, TokenFileOption
from halo_otel.cli.terminal import note, progress
from halo_otel.clock import Clock, SystemClock

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from halo_otel.cli.sending import Totals


def replay(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files or directories of traces, as for `analyze`."),
    ],
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The receiver; https://HOST:PORT for TLS (default: the service of the configuration).",
        ),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Over OTLP/HTTP instead of OTLP/gRPC.")
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Spans per second (default: as fast as it goes)."),
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Shift all times so that the newest span ends now.")
    ] = False,
    config: ConfigOption = None,
    header: HeaderOption = None,
    token_file: TokenFileOption = None,
    tls_ca: TlsCaOption = None,
) -> None:
    """Send traces from files to a receiver, again if it asks for that, and count what it takes."""
    given = Given(
        endpoint=endpoint,
        http=http,
        config=config,
        header=header,
        token_file=token_file,
        tls_ca=tls_ca,
    )
    totals = asyncio.run(_replay(paths, given, rate, now, SystemClock()))
    print(
        f"{totals.accepted_spans:,} spans accepted, {totals.rejected_spans:,} rejected, in "
        f"{totals.requests:,} requests, {totals.refused_requests:,} of them refused; "
        f"{totals.retries:,} sent again"
    )
    if totals.refused_requests:
        raise typer.Exit(1)


async def _replay(
    paths: list[Path], given: Given, rate: float | None, now: bool, clock: Clock
) -> "Totals":
    from halo_otel.cli.sending import Delivery, over_grpc, over_http

    target = given.target()
    bad = BadLines()
    shift_ns = 0
    if now:
        newest_ns = await asyncio.to_thread(_newest_ns, paths)
        shift_ns = clock.now_ns() - newest_ns
    with progress() as bar:
        task = bar.add_task("sending", total=None, detail="")

        def show(totals: "Totals") -> None:
            bar.update(task, detail=f"{totals.accepted_spans:,} spans accepted")

        async with over_http(target) if given.http else over_grpc(target) as send:
            delivery = Delivery(send, clock, show, note, rate)
            totals = await delivery.run(_requests(paths, bad, shift_ns))
    bad.sum_up()
    return totals


def _requests(
    paths: list[Path], bad: BadLines, shift_ns: int
) -> Iterator["ExportTraceServiceRequest"]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from halo_otel.importers.files import read_requests

    for payload in read_requests(paths, bad):
        request = ExportTraceServiceRequest.FromString(payload)
        if shift_ns:
            shift(request, shift_ns)
        yield request


def _newest_ns(paths: list[Path]) -> int:
    """When the last span ends; what cannot be read is told when it is sent."""
    from halo_otel.importers.files import read_traces

    ends = (max(span.start_ns, span.end_ns) for span in read_traces(paths, lambda bad: None))
    return max(ends, default=0)


def shift(request: "ExportTraceServiceRequest", by_ns: int) -> None:
    """Move every time in `request`; a time that is not set (0) stays so, none becomes negative."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if span.start_time_unix_nano:
                    span.start_time_unix_nano = max(0, span.start_time_unix_nano + by_ns)
                if span.end_time_unix_nano:
                    span.end_time_unix_nano = max(0, span.end_time_unix_nano + by_ns)
                for event in span.events:
                    if event.time_unix_nano:
                        event.time_unix_nano = max(0, event.time_unix_nano + by_ns)
