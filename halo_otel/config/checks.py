"""What must hold between settings; one setting's own limits stand in `sections`."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from halo_otel.config.keys import duration, size
from halo_otel.config.sections import Config

# host:port with an IPv6 address in brackets, as the Collector writes endpoints (confignet).
_ENDPOINT: Final = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")
_PORT_MAX: Final = 65535


def problems(config: Config) -> list[str]:
    """Every contradiction in `config`, as `key: what is wrong and the cure`."""
    return [*_endpoints(config), *_sizes(config), *_times(config)]


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
        match = _ENDPOINT.fullmatch(endpoint)
        if not match or int(match[1]) > _PORT_MAX:
            yield f"{name}: {endpoint!r} is not host:port: write it like localhost:14317"
    counts = Counter(endpoint for endpoint in listening.values() if not endpoint.endswith(":0"))
    for name, endpoint in listening.items():
        if counts[endpoint] > 1:
            yield f"{name}: {endpoint} is used twice: give each server its own port"


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


def _times(config: Config) -> Iterator[str]:
    # What retention deletes no lookback can see.
    for name, span in (
        ("analysis.lookback", config.analysis.lookback),
        ("window.length", config.window.length),
    ):
        if span > config.window.retention:
            bound = duration(config.window.retention)
            yield f"{name}: {duration(span)} exceeds window.retention ({bound}): raise that one or lower this one"
