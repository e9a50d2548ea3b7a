"""`serve`, `health`, `status`: run the service and look at it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_otel.cli.options import ConfigOption, EndpointOption, connect, endpoint_given, load
from halo_otel.cli.terminal import duration, note, safe
from halo_otel.selfobs import family

if TYPE_CHECKING:
    from http.client import HTTPConnection


WHY_BYTES_MAX = 4096  # of what a service says about why it is not ready


def serve(config: ConfigOption = None) -> None:
    """Run the service: receive OTLP, analyse, send findings to the Collector."""
    from halo_otel.config.load import preset_variable

    settings = load(config)
    # gRPC's core writes a line for each handshake that fails, so strangers could fill the log. It can be told
    # only through the environment, before it is imported (grpc/doc/environment_variables.md).
    preset_variable("GRPC_VERBOSITY", "ERROR")

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
    from http.client import HTTPException

    from halo_otel.control.client import reachable

    if endpoint is None:
        web = load(config).web
        given, certificate = web.endpoint, web.tls.cert_file
    else:
        given, certificate = endpoint_given(endpoint), None
    where = reachable(given)
    connection = _connection(where, certificate)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        status, told = answer.status, answer.read(WHY_BYTES_MAX).decode(errors="replace")
    except (OSError, HTTPException):
        note(f"nothing answers at {where}: is `halo-otel serve` running?")
        raise typer.Exit(1) from None
    finally:
        connection.close()
    if status != 200:
        note(f"{where}/readyz answered {status}: {safe(told.strip())}")
        raise typer.Exit(1)
    print("ready")


def _connection(where: str, certificate: Path | None) -> "HTTPConnection":
    """To our own web port; over TLS where it has a certificate, which must be the one that is served."""
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.parse import urlsplit

    address = urlsplit(f"//{where}")
    host = address.hostname or "localhost"
    if certificate is None:
        return HTTPConnection(host, address.port, timeout=5)
    import ssl

    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False  # it may be for the name by which others know us
    return HTTPSConnection(host, address.port, timeout=5, context=context)


def status(endpoint: EndpointOption = None, config: ConfigOption = None) -> None:
    """How the running service is doing: lag, backlog and all its counters."""
    with connect(endpoint, config) as client:
        now = client.status()
    print(f"halo-otel {safe(now.version)}, {'ready' if now.ready else 'not ready'}")
    print(f"lag      {duration(round(now.lag_s * 1e9))}")
    print(f"backlog  {now.backlog_bytes:,} bytes")
    for reading in now.readings:
        if family(reading.name)[1] == "bucket":
            continue  # for machines
        attributes = ",".join(f"{key}={value}" for key, value in reading.attributes)
        name = f"{reading.name}{{{attributes}}}" if attributes else reading.name
        print(f"{safe(name)}  {reading.value:,.10g}")
