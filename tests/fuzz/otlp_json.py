"""OTLP/JSON, as HTTP bodies and as lines of files: the fast way, the general way and protobuf say the same.

The first byte chooses the signal, the rest is the body.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any, Final

from halo_otel.errors import BadRequest
from halo_otel.otlp import jsontext
from halo_otel.otlp.decode import log_records_of, spans_of
from halo_otel.otlp.jsonlines import log_records_from_tree, spans_from_tree
from halo_otel.otlp.jsonrequest import request_from_tree
from tests.fuzz import laws, samples, trees
from tests.fuzz.trees import Bytes

RUNS: Final = 1000


def check(data: bytes) -> None:
    signal = laws.SIGNALS[data[0] % len(laws.SIGNALS)] if data else "traces"
    try:
        tree = jsontext.loads(data[1:])
    except BadRequest:
        return
    if signal == "traces":
        check_ways(
            spans_from_tree, lambda it: list(spans_of(request_from_tree(it, "traces"))), tree
        )
    elif signal == "logs":
        general = lambda it: list(log_records_of(request_from_tree(it, "logs")))  # noqa: E731
        check_ways(log_records_from_tree, general, tree)
    try:
        payload = request_from_tree(tree, signal).SerializeToString()
    except BadRequest:
        return
    # What was understood as JSON is understood as it is journaled.
    laws.check_admitted(signal, payload)


def check_ways(fast: Callable[[Any], Any], general: Callable[[Any], Any], tree: Any) -> None:
    """Both give the same, or both refuse. What is nested too deep is cut in the tree itself."""
    try:
        expected = general(deepcopy(tree))
    except BadRequest:
        expected = None
    try:
        read = fast(deepcopy(tree))
    except BadRequest:
        read = None
    assert (read is None) == (expected is None)
    if expected is not None:
        assert laws.same(read, expected)


def mutate(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    changed = trees.mutated_text(data[1:], rng, change)
    return None if changed is None else data[:1] + changed


def seeds() -> Iterator[bytes]:
    for message in samples.traces():
        yield b"\0" + laws.as_json(message)
    yield b"\1" + laws.as_json(samples.logs())
    yield b'\2{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","sum":{"dataPoints":[{"asInt":"1"}]}}]}]}]}'
    yield (
        b'\0{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"5B8EFFF798038103D269B633813FC60C",'
        b'"span_id":"eee19b7ec3c1b174","kind":"SPAN_KIND_SERVER","start_time_unix_nano":1,"name":"\\ud83d"}]}]}]}'
    )
