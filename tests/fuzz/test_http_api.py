"""The HTTP servers of a real service answer as `openapi.yaml` says, whatever they are asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.fuzz import samples
from tests.path.conftest import Service

SCHEMA = schemathesis.openapi.from_path(Path(__file__).with_name("openapi.yaml"))
EXPORTS = ("/v1/traces", "/v1/logs", "/v1/metrics")
PAGES = ("/healthz", "/readyz", "/metrics")

bounded = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

# What is a request of every signal.
schemathesis.openapi.media_type(
    "application/x-protobuf",
    st.builds(lambda name: samples.resource(name).SerializeToString(), st.text()) | st.just(b""),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    service = Service(directory, {"HALO_EXPORTERS_OTLP_ENABLED": "false"})
    service.start()
    yield service
    service.stop()


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("path", EXPORTS)
def test_exports_are_answered_as_documented(
    service: Service, path: str, mode: GenerationMode
) -> None:
    @bounded
    @given(SCHEMA[path]["POST"].as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        # As protobuf's JSON mapping wants it, much is let in that another sender would not write.
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{service.http_port}",
            excluded_checks=[negative_data_rejection],
        )

    ask()
    assert service.metric("halo_receiver_internal_errors_total") == 0


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_answered_as_documented(service: Service, path: str) -> None:
    @bounded
    @given(SCHEMA[path]["GET"].as_strategy())
    def ask(case: Case[Any]) -> None:
        # /readyz says with a 503 that the service is not ready.
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{service.web_port}", excluded_checks=[not_a_server_error]
        )

    ask()


@pytest.mark.parametrize("method", ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"])
def test_other_methods_are_refused(service: Service, method: str) -> None:
    for paths, port, known in (
        (EXPORTS, service.http_port, "POST"),
        (PAGES, service.web_port, "GET"),
    ):
        for path in paths if method != known else ():
            answer = httpx.request(method, f"http://127.0.0.1:{port}{path}", trust_env=False)
            assert answer.status_code == 405
