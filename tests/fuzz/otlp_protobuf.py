"""Serialized requests of all signals, as gRPC and HTTP take them: to the rows of a window.

The first byte chooses the signal, the rest is the request.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from halo_otel.errors import BadRequest
from tests.fuzz import laws, messages, samples
from tests.fuzz.trees import Bytes

RUNS: Final = 1000


def check(data: bytes) -> None:
    signal = laws.SIGNALS[data[0] % len(laws.SIGNALS)] if data else "traces"
    try:
        laws.check_admitted(signal, data[1:])
    except BadRequest:
        pass


def mutate(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    if not data:
        return None
    signal = laws.SIGNALS[data[0] % len(laws.SIGNALS)]
    changed = messages.mutated_message(data[1:], laws.REQUESTS[signal], rng, change)
    return None if changed is None else data[:1] + changed


def seeds() -> Iterator[bytes]:
    for message in samples.traces():
        yield b"\0" + message.SerializeToString()
    yield b"\1" + samples.logs().SerializeToString()
    yield b"\2"
    yield b"\0" + samples.full().SerializeToString().replace(b"timed out", b"timed\xffout")
