"""A target with a mistake, so that it is known that mistakes are found."""

from random import Random

from tests.fuzz.trees import Bytes


def check(data: bytes) -> None:
    if b"\x07" in data:
        raise ValueError("the mistake")


def mutate(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    return data + bytes([rng.randrange(16)])
