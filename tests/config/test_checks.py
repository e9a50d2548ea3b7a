"""What must hold between settings."""

import json
from pathlib import Path

import pytest

from halo_otel.config.load import load
from halo_otel.errors import ConfigError
from halo_otel.findings import Registry
from halo_otel.selfobs import Counters

HEADERS = "HALO_EXPORTERS_OTLP_HEADERS"
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
        ({HEADERS: "bad key=x"}, "exporters.otlp.headers: 'bad key' is not a header's name"),
        ({HEADERS: "clé=x"}, "is not a header's name"),
        ({HEADERS: "token-BIN=x"}, "'token-BIN' would need a binary value"),
        ({HEADERS: "token=hunté"}, "the value of 'token' has characters"),
        ({HEADERS: '{"token": "a\\nb"}'}, "the value of 'token' has characters"),
        ({"HALO_LLM_BASE_URL": "localhost:11434/v1"}, "llm.base_url: is not an address"),
        ({"HALO_LLM_BASE_URL": "https://me:hunter2@host/v1"}, "llm.base_url: holds a password"),
        ({"HALO_LLM_HEADERS": "api key=x"}, "llm.headers: 'api key' is not a header's name"),
        ({"HALO_LLM_HEADERS": "api-key=hunté"}, "llm.headers: the value of 'api-key'"),
        ({"HALO_LLM_API_KEY": "hunté"}, "llm.api_key: is not printable"),
        ({"HALO_REGISTRY_URL": "mysql://db/halo"}, "registry.url: 'mysql' is not supported"),
        ({"HALO_REGISTRY_URL": "hunter2"}, "registry.url: is not a database URL"),
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
    assert "hunt" not in str(refusal.value), "a secret is shown"


def test_headers_that_are_fine() -> None:
    headers = {"Authorization": "Bearer a=b,c", "x_tenant.id-2": ""}
    assert load(None, {HEADERS: json.dumps(headers)}).exporters.otlp.headers == headers


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read"),
        ("no certificate", "holds no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n",
            "holds no certificate in PEM",
        ),
    ],
)
def test_a_ca_file_that_is_used_can_be_used(content: str | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    environ = {"HALO_EXPORTERS_OTLP_TLS_CA_FILE": str(file)}
    with pytest.raises(ConfigError, match=f"exporters.otlp.tls.ca_file: .*{told}"):
        load(None, {**environ, "HALO_EXPORTERS_OTLP_TLS_INSECURE": "false"})


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a#b", "a b", "ä:@&=+;"])
def test_the_registry_is_in_the_storage_directory_whatever_its_name(
    name: str, tmp_path: Path
) -> None:
    config = load(None, {"HALO_STORAGE_DIRECTORY": str(tmp_path / name)})
    registry = Registry(config.registry_url, None, Counters())
    registry.open()
    registry.close()
    assert (tmp_path / name / "registry.sqlite").is_file()


@pytest.mark.parametrize("endpoint", ["127.0.0.2:1", "[::1]:14317", "localhost:0"])
def test_endpoints_that_are_fine(endpoint: str) -> None:
    assert load(None, {GRPC: endpoint}).receivers.otlp.protocols.grpc.endpoint == endpoint


def test_port_0_may_be_used_by_every_server() -> None:
    load(None, {GRPC: "127.0.0.1:0", WEB: "127.0.0.1:0"})
