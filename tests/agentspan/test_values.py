"""Values that SDKs write as JSON text."""

import json

import pytest

from halo_otel.agentspan.values import json_payload, unquoted


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain", "plain"),
        ("null", None),
        (json.dumps("AGENT"), "AGENT"),
        (json.dumps(json.dumps("AGENT")), "AGENT"),
        (json.dumps('{"a": 1}'), '{"a": 1}'),  # a tool's JSON result, written as JSON again
        (json.dumps(json.dumps('{"a": 1}')), '{"a": 1}'),
        ('{"a": 1}', '{"a": 1}'),
        ('"torn', '"torn'),
        ('"', '"'),
    ],
)
def test_quotes_of_json_come_off(written: str, meant: str | None) -> None:
    assert unquoted(written) == meant


def test_a_result_in_quotes_has_its_members() -> None:
    assert json_payload(json.dumps('{"error": "no such city"}')) == '{"error": "no such city"}'
