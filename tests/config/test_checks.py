"""What must hold between settings."""

import pytest

from halo_otel.config.load import load
from halo_otel.errors import ConfigError

GRPC = "HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC_ENDPOINT"
WEB = "HALO_WEB_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {GRPC: "localhost"},
            "receivers.otlp.protocols.grpc.endpoint: 'localhost' is not host:port",
        ),
        ({GRPC: "http://localhost:1"}, "is not host:port"),
        ({GRPC: "localhost:70000"}, "is not host:port"),
        ({GRPC: "localhost:7", WEB: "localhost:7"}, "web.endpoint: localhost:7 is used twice"),
        ({"HALO_EXPORTERS_OTLP_ENDPOINT": "::1:4317"}, "exporters.otlp.endpoint"),
        ({"HALO_JOURNAL_SEGMENT_BYTES": "3GiB"}, "must not exceed journal.max_bytes"),
        (
            {"HALO_JOURNAL_MAX_BYTES": "63MiB", "HALO_JOURNAL_SEGMENT_BYTES": "1MiB"},
            "63MiB is less",
        ),
        ({"HALO_RECEIVERS_OTLP_MAX_IN_FLIGHT_BYTES": "1MiB"}, "largest request (64MiB)"),
        ({"HALO_WINDOW_RETENTION": "30m"}, "analysis.lookback: 1h exceeds window.retention (30m)"),
    ],
)
def test_contradictions_are_told(environ: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(None, environ)
    assert told in str(refusal.value)


@pytest.mark.parametrize("endpoint", ["0.0.0.0:1", "[::1]:14317", "halo.svc:14317"])
def test_endpoints_that_are_fine(endpoint: str) -> None:
    assert load(None, {GRPC: endpoint}).receivers.otlp.protocols.grpc.endpoint == endpoint


def test_port_0_may_be_used_by_every_server() -> None:
    load(None, {GRPC: "127.0.0.1:0", WEB: "127.0.0.1:0"})
