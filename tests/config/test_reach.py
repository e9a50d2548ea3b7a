"""Who may be reached, and by what files."""

from pathlib import Path

import pytest

from halo_otel.config.load import load
from halo_otel.config.reach import is_local
from halo_otel.errors import ConfigError
from tests.certificates import Authority

GRPC = "HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC"
HTTP = "HALO_RECEIVERS_OTLP_PROTOCOLS_HTTP"
SERVERS = {GRPC: "receivers.otlp.protocols.grpc", HTTP: "receivers.otlp.protocols.http"} | {
    "HALO_WEB": "web"
}
CLIENTS = {"HALO_EXPORTERS_OTLP_TLS": "exporters.otlp.tls", "HALO_CONTROL_TLS": "control.tls"}


@pytest.mark.parametrize("endpoint", ["localhost:1", "127.0.0.1:0", "127.9.9.9:1", "[::1]:1"])
def test_this_machine_alone(endpoint: str) -> None:
    assert is_local(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["0.0.0.0:1", "[::]:1", "10.0.0.7:1", "[fe80::1]:1", "halo.svc:1", "localhost.evil:1"],
)
def test_other_machines_too(endpoint: str) -> None:
    assert not is_local(endpoint)


@pytest.mark.parametrize("server", SERVERS)
def test_other_machines_are_served_only_if_asked_who_they_are(server: str) -> None:
    environ = {f"{server}_ENDPOINT": "0.0.0.0:1"}
    with pytest.raises(ConfigError, match=rf"{SERVERS[server]}\.endpoint: .*allow_unauthenticated"):
        load(None, environ)
    load(None, {**environ, f"{server}_AUTH_ALLOW_UNAUTHENTICATED": "true"})
    load(None, {**environ, f"{server}_AUTH_TOKENS_FILE": "/run/tokens"})
    with pytest.raises(ConfigError, match="nobody is asked"):  # a certificate of ours asks nobody
        load(None, {**environ, f"{server}_TLS_CERT_FILE": "/c", f"{server}_TLS_KEY_FILE": "/k"})
    files = {f"{server}_TLS_{name}_FILE": "/pem" for name in ("CERT", "KEY", "CLIENT_CA")}
    load(None, {**environ, **files})


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_s_files_come_together(server: str) -> None:
    key = SERVERS[server]
    with pytest.raises(ConfigError, match=rf"{key}\.tls\.key_file: is missing"):
        load(None, {f"{server}_TLS_CERT_FILE": "/c"})
    with pytest.raises(ConfigError, match=rf"{key}\.tls\.cert_file: is missing"):
        load(None, {f"{server}_TLS_KEY_FILE": "/k"})
    with pytest.raises(ConfigError, match=rf"{key}\.tls\.client_ca_file: needs TLS"):
        load(None, {f"{server}_TLS_CLIENT_CA_FILE": "/ca"})


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_s_files_are_looked_into(client: str, tmp_path: Path) -> None:
    key = CLIENTS[client]
    authority = Authority(tmp_path)
    one, two = authority.issue("one"), authority.issue("two")
    tls = {f"{client}_INSECURE": "false", f"{client}_CA_FILE": str(authority.cert)}
    load(None, {**tls, f"{client}_CERT_FILE": str(one.cert), f"{client}_KEY_FILE": str(one.key)})
    for cert, private, told in (
        (one.cert, two.key, r"key_file: .* is not the private key of"),
        (one.cert, one.cert, r"key_file: .* is not the private key of"),
        (one.cert, tmp_path / "nowhere", r"cannot read"),
    ):
        with pytest.raises(ConfigError, match=rf"{key}\.?.*{told}"):
            load(
                None, {**tls, f"{client}_CERT_FILE": str(cert), f"{client}_KEY_FILE": str(private)}
            )
    with pytest.raises(ConfigError, match=rf"{key}\.key_file: is missing"):
        load(None, {**tls, f"{client}_CERT_FILE": str(one.cert)})


@pytest.mark.parametrize("client", CLIENTS)
def test_plain_text_next_to_a_certificate_is_a_contradiction(client: str, tmp_path: Path) -> None:
    environ = {f"{client}_CA_FILE": str(Authority(tmp_path).cert), f"{client}_INSECURE": "true"}
    with pytest.raises(ConfigError, match=rf"{CLIENTS[client]}\.ca_file: has no effect"):
        load(None, environ)


def test_a_version_of_tls_may_be_written_as_a_number(tmp_path: Path) -> None:
    file = tmp_path / "halo.yaml"
    file.write_text("web: {tls: {min_version: 1.3}}", encoding="utf-8")
    assert load(file, {}).web.tls.min_version == "1.3"
