"""What must hold between settings; one setting's own limits stand in `sections`."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from halo_otel.config import re2, reach
from halo_otel.config.complaints import near
from halo_otel.config.keys import duration, size
from halo_otel.config.llm import Llm
from halo_otel.config.prices import read_prices
from halo_otel.config.sections import Config, Registry
from halo_otel.errors import ConfigError
from halo_otel.model.explained import EXPLAINED

# host:port with an IPv6 address in brackets, as the Collector writes endpoints (confignet).
_ENDPOINT: Final = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")
_PORT_MAX: Final = 65535
# What gRPC takes as metadata; beside these it has binary values under keys that end in `-bin`
# (gRPC over HTTP/2, "Custom-Metadata").
_HEADER_KEY: Final = re.compile(r"[0-9a-z_.-]+")
_HEADER_VALUE: Final = re.compile(r"[ -~]*")
_DATABASES: Final = frozenset({"sqlite", "postgres", "postgresql", "postgresql+psycopg"})


def problems(config: Config) -> list[str]:
    """Every contradiction in `config`, as `key: what is wrong and the cure`."""
    return [
        *_endpoints(config),
        *reach.problems(config),
        *header_problems("exporters.otlp.headers", config.exporters.otlp.headers),
        *_llm(config.llm),
        *_registry(config.registry),
        *_sizes(config),
        *_times(config),
        *_prices(config.window.prices_file),
        *_detectors(config.analysis.detectors),
        *re2.problems("redaction.custom", config.redaction.custom),
    ]


def is_endpoint(text: str) -> bool:
    """Whether `text` is host:port."""
    match = _ENDPOINT.fullmatch(text)
    return match is not None and int(match[1]) <= _PORT_MAX


def _endpoints(config: Config) -> Iterator[str]:
    listening = {
        "receivers.otlp.protocols.grpc.endpoint": config.receivers.otlp.protocols.grpc.endpoint,
        "receivers.otlp.protocols.http.endpoint": config.receivers.otlp.protocols.http.endpoint,
        "web.endpoint": config.web.endpoint,
    }
    for name, endpoint in (
        *listening.items(),
        ("exporters.otlp.endpoint", config.exporters.otlp.endpoint),
    ):
        if not is_endpoint(endpoint):
            yield f"{name}: {endpoint!r} is not host:port: write it like localhost:14317"
    counts = Counter(endpoint for endpoint in listening.values() if not endpoint.endswith(":0"))
    for name, endpoint in listening.items():
        if counts[endpoint] > 1:
            yield f"{name}: {endpoint} is used twice: give each server its own port"


def is_header_value(text: str) -> bool:
    """Whether a header can carry `text`."""
    return _HEADER_VALUE.fullmatch(text) is not None


def header_problems(key: str, headers: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the headers of the setting `key`; no value is told, it may be a secret."""
    for name, value in headers.items():
        lower = name.lower()  # as it is sent
        if not _HEADER_KEY.fullmatch(lower):
            yield f"{key}: {name!r} is not a header's name: use letters, digits, _ . -"
        elif lower.endswith("-bin"):
            yield (
                f"{key}: {name!r} would need a binary value: leave it out, or choose a name that does not"
                " end in -bin"
            )
        elif not is_header_value(value):
            yield (
                f"{key}: the value of {name!r} has characters that a header cannot carry: use printable"
                " ASCII"
            )


def _llm(llm: Llm) -> Iterator[str]:
    address = urlsplit(llm.base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        yield "llm.base_url: is not an address: write it like https://host/v1"
    elif address.username or address.password:
        yield "llm.base_url: holds a password: give it as llm.api_key or in llm.headers"
    yield from header_problems("llm.headers", llm.headers)
    if llm.code is not None and llm.payloads == "none":
        yield "llm.code: with llm.payloads none no code may leave: unset one of them"
    if llm.api_key and not is_header_value(llm.api_key):
        yield "llm.api_key: is not printable ASCII: is it the key?"


def _registry(registry: Registry) -> Iterator[str]:
    if registry.url is None:
        return
    scheme, colon, _ = registry.url.partition("://")
    if not colon:  # what stands there instead may be a secret
        yield (
            "registry.url: is not a database URL: write sqlite:///PATH or"
            " postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    elif scheme not in _DATABASES:
        yield f"registry.url: {scheme!r} is not supported: use sqlite or postgresql"


def _sizes(config: Config) -> Iterator[str]:
    if config.journal.segment_bytes > config.journal.max_bytes:
        yield "journal.segment_bytes: must not exceed journal.max_bytes"
    otlp = config.receivers.otlp
    largest = max(
        otlp.protocols.grpc.max_recv_msg_size_mib << 20, otlp.protocols.http.max_request_body_size
    )
    # Otherwise a request could be admitted that is then refused for ever, each time as retryable.
    for name, bound in (
        ("receivers.otlp.max_in_flight_bytes", otlp.max_in_flight_bytes),
        ("journal.max_bytes", config.journal.max_bytes),
    ):
        if bound < largest:
            yield (
                f"{name}: {size(bound)} is less than the largest request ({size(largest)}): raise it,"
                " or lower receivers.otlp.protocols.grpc.max_recv_msg_size_mib"
                " and receivers.otlp.protocols.http.max_request_body_size"
            )


def _prices(file: Path | None) -> Iterator[str]:
    if file is not None:
        try:
            read_prices(file)
        except ConfigError as error:
            yield str(error)


def _detectors(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name not in EXPLAINED:
            cure = near(name, EXPLAINED) or ": docs/detectors.md lists them"
            yield f"analysis.detectors: there is no detector {name!r}{cure}"


def _times(config: Config) -> Iterator[str]:
    # What retention deletes no lookback can see.
    for name, span in (
        ("analysis.lookback", config.analysis.lookback),
        ("window.length", config.window.length),
    ):
        if span > config.window.retention:
            bound = duration(config.window.retention)
            yield f"{name}: {duration(span)} exceeds window.retention ({bound}): raise that one or lower this one"
