"""`serve`, `health`, `status`: run the service and look at it."""

from typing import Annotated

import typer

from halo_otel.cli.options import ConfigOption, EndpointOption, connect, endpoint_given, load
from halo_otel.cli.terminal import duration, note, safe


def serve(config: ConfigOption = None) -> None:
    """Run the service: receive OTLP, analyse, send findings to the Collector."""
    settings = load(config)

    from halo_otel.service.front import serve as run

    raise typer.Exit(run(settings))


def health(
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where the service's web port is (default: as the configuration says).",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Exit with 0 if the service is ready and with 1 if not, for probes."""
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    from halo_otel.control.client import reachable

    given = load(config).web.endpoint if endpoint is None else endpoint_given(endpoint)
    where = reachable(given)
    address = urlsplit(f"//{where}")
    connection = HTTPConnection(address.hostname or "localhost", address.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, HTTPException):
        note(f"nothing answers at {where}: is `halo-otel serve` running?")
        raise typer.Exit(1) from None
    finally:
        connection.close()
    if status != 200:
        note(f"not ready: {where}/readyz answered {status}")
        raise typer.Exit(1)
    print("ready")


def status(endpoint: EndpointOption = None, config: ConfigOption = None) -> None:
    """How the running service is doing: lag, backlog and all its counters."""
    with connect(endpoint, config) as client:
        now = client.status()
    print(f"halo-otel {safe(now.version)}, {'ready' if now.ready else 'not ready'}")
    print(f"lag      {duration(round(now.lag_s * 1e9))}")
    print(f"backlog  {now.backlog_bytes:,} bytes")
    for reading in now.readings:
        attributes = ",".join(f"{key}={value}" for key, value in reading.attributes)
        name = f"{reading.name}{{{attributes}}}" if attributes else reading.name
        print(f"{safe(name)}  {reading.value:,.10g}")
