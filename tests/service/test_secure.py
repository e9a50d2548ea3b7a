"""The whole service behind TLS, client certificates and tokens, and the commands that ask it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import Authority, Issued
from tests.cli.conftest import protobuf_requests, traces_file
from tests.importers.conftest import Site, phoenix
from tests.path.conftest import Service, eventually

__all__ = ["phoenix", "protobuf_requests", "traces_file"]  # the fixtures

GRPC = "HALO_RECEIVERS_OTLP_PROTOCOLS_GRPC"
HTTP = "HALO_RECEIVERS_OTLP_PROTOCOLS_HTTP"


@dataclass
class Secure:
    service: Service
    own: Issued
    tokens: Path

    def said(self, *command: str, **control: str | Path) -> tuple[int, str]:
        """Exit code and words of a command, with these keys of `control` in its environment."""
        before = dict(self.service.environ)
        names = {f"HALO_CONTROL_{key.upper()}": str(value) for key, value in control.items()}
        self.service.environ |= names
        try:
            done = self.service.command(*command)
        finally:
            self.service.environ = before
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """A service on free ports; its gRPC asks for a certificate and a token, HTTP for a token; all speak TLS."""
    directory = tmp_path_factory.mktemp("secure")
    authority = Authority(directory)
    server = authority.issue("server")
    tokens = directory / "tokens"
    tokens.write_text("one\ntwo\n", encoding="ascii")
    environ = {
        "HALO_EXPORTERS_OTLP_ENABLED": "false",
        f"{GRPC}_TLS_CERT_FILE": str(server.cert),
        f"{GRPC}_TLS_KEY_FILE": str(server.key),
        f"{GRPC}_TLS_CLIENT_CA_FILE": str(authority.cert),
        f"{GRPC}_AUTH_TOKENS_FILE": str(tokens),
        f"{HTTP}_TLS_CERT_FILE": str(server.cert),
        f"{HTTP}_TLS_KEY_FILE": str(server.key),
        f"{HTTP}_AUTH_TOKENS_FILE": str(tokens),
        "HALO_WEB_TLS_CERT_FILE": str(server.cert),
        "HALO_WEB_TLS_KEY_FILE": str(server.key),
    }
    service = Service(directory / "service", environ)
    service.start(wait=False)
    try:
        eventually("the service is ready", lambda: service.command("health").returncode == 0)
        yield Secure(service, authority.issue("operator"), tokens)
    finally:
        service.stop()


def test_a_command_takes_token_and_tls_from_the_service_s_own_configuration(secure: Secure) -> None:
    own = secure.own
    code, words = secure.said("status", tls_cert_file=own.cert, tls_key_file=own.key)
    assert code == 0, words
    assert words.startswith("halo-otel")


def test_a_command_without_a_certificate_is_told_what_to_set(secure: Secure) -> None:
    code, words = secure.said("status")
    assert code != 0
    assert "control.tls" in words
    # Who cannot come in cannot fill the log either.
    assert "handshake" not in secure.service.process.log.read_text(encoding="utf-8").lower()


def test_a_wrong_token_is_told_and_not_shown(secure: Secure, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("no-such-token", encoding="ascii")
    own = secure.own
    keys = {"tls_cert_file": own.cert, "tls_key_file": own.key, "token_file": wrong}
    code, words = secure.said("windows", **keys)
    assert code != 0
    assert "control.token_file" in words
    assert "no-such-token" not in words


def test_another_service_is_not_sent_the_token_of_this_one(secure: Secure) -> None:
    """`--endpoint` names somebody else: only `control` in the configuration says what goes there."""
    own, where = secure.own, f"127.0.0.1:{secure.service.grpc_port}"
    keys: dict[str, str | Path] = {"tls_cert_file": own.cert, "tls_key_file": own.key}
    keys["tls_ca_file"] = own.cert.with_name("ca.pem")
    code, words = secure.said("status", "--endpoint", where, **keys)
    assert code != 0
    assert "control.token_file" in words
    code, words = secure.said("status", "--endpoint", where, token_file=secure.tokens, **keys)
    assert code == 0, words


def test_a_token_goes_to_another_machine_in_plain_text_only_if_said(secure: Secure) -> None:
    code, words = secure.said("status", "--endpoint", "halo.example:1", token_file=secure.tokens)
    assert code != 0
    assert "control.tls.insecure" in words


def test_replay_says_who_it_is_as_every_command_does(secure: Secure, traces_file: Path) -> None:
    own = secure.own
    for more in ([], ["--http"]):
        code, words = secure.said(
            "replay", str(traces_file), *more, tls_cert_file=own.cert, tls_key_file=own.key
        )
        assert code == 0, words
        assert "0 rejected" in words


def test_replay_to_an_endpoint_says_what_the_options_say(secure: Secure, traces_file: Path) -> None:
    """It may be anybody's: without an option neither token nor CA of ours is used."""
    ca = str(secure.own.cert.with_name("ca.pem"))
    to = ("replay", str(traces_file), "--http", "--endpoint")
    where = f"localhost:{secure.service.http_port}"
    code, words = secure.said(*to, f"https://{where}", token_file=secure.tokens)
    assert code != 0
    assert "--tls-ca" in words
    code, words = secure.said(*to, where, "--tls-ca", ca, token_file=secure.tokens)
    assert code != 0
    assert "HTTP 401" in words
    assert "--token-file" in words
    code, words = secure.said(*to, where, "--tls-ca", ca, "--token-file", str(secure.tokens))
    assert code == 0, words
    code, words = secure.said(*to, where, "--tls-ca", ca, "--header", "Authorization: Bearer two")
    assert code == 0, words


def test_a_wrong_token_ends_a_replay_at_once(
    secure: Secure, traces_file: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("no-such-token", encoding="ascii")
    own = secure.own
    for more in ([], ["--http"]):
        code, words = secure.said(
            *("replay", str(traces_file), *more, "--token-file", str(wrong)),
            tls_cert_file=own.cert,
            tls_key_file=own.key,
        )
        assert code != 0
        assert "control.token_file" in words
        assert "no-such-token" not in words


def test_a_token_given_for_another_machine_goes_there_in_plain_text_only_if_said(
    secure: Secure, traces_file: Path
) -> None:
    code, words = secure.said(
        *("replay", str(traces_file), "--endpoint", "halo.example:1"),
        *("--token-file", str(secure.tokens)),
    )
    assert code != 0
    assert "in plain text" in words


def test_an_import_says_who_it_is(secure: Secure, phoenix: Site) -> None:
    own = secure.own
    secure.service.environ["PHOENIX_API_KEY"] = "px-3"
    to = f"127.0.0.1:{secure.service.grpc_port}"
    command = ("import", "phoenix", "--url", phoenix.url, "--project", "my project")
    keys = {"tls_cert_file": own.cert, "tls_key_file": own.key}
    code, words = secure.said(*command, "--endpoint", to, **keys)
    assert code == 0, words
    assert words.startswith("2 spans")
