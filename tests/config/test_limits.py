"""docs/limits.md names every limit, and says of each what is so."""

import re
from pathlib import Path

import pytest

from halo_otel.config.keys import KEYS, Key
from halo_otel.selfobs import HELP

TEXT = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = {
    row[0]: row[1:]
    for row in re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \| (.*?) \|$", TEXT, re.MULTILINE)
}
BY_NAME = {key.name: key for key in KEYS}
# How a key that bounds something is called.
LIMIT = re.compile(
    r"(max|limit|retention|budget\.\w+|quarantine|stall|read(_header)?_timeout)(_|\b)"
)
# What is so called and bounds nothing that grows, or has no default.
OTHER = re.compile(
    r"exporters\.otlp\.max_backoff|redaction\..*|web\.\w+timeout|llm\.budget\.\w+\.cost|registry\..*"
    r"|receivers\.otlp\.protocols\.grpc\.keepalive\..*|analysis\.detectors|memory_limiter\.check_interval"
)


def test_every_limit_is_listed() -> None:
    limits = {key.name for key in KEYS if LIMIT.search(key.name) and not OTHER.fullmatch(key.name)}
    assert len(limits) > 30
    assert limits <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_tells_the_truth(name: str) -> None:
    key: Key = BY_NAME[name]
    default, what, counter = ROWS[name]
    if key.default is not None:
        assert default == key.default
    assert what
    named = re.findall(r"`(halo[\w.]+)`", counter)
    assert named or counter.startswith("none") or "gRPC" in counter
    assert set(named) <= HELP.keys()
