"""Runs one target under atheris: `python -m tests.fuzz.engine TARGET [-cpu_seconds=N] [libFuzzer options and corpora]`.

libFuzzer counts time on the wall; here the processor's counts: `-cpu_seconds` ends the run after so many, and
an input that takes more than `INPUT_CPU_S` is a crash.
"""

import importlib
import logging
import os
import signal
import sys
import time
from random import Random
from types import ModuleType
from typing import Final

import atheris

INPUT_CPU_S: Final = 5.0

# Inputs of a structure are mostly mutated as what they are, and sometimes as bytes.
_BYTES_SHARE: Final = 0.2


class _Fuzzing:
    def __init__(self, target: ModuleType, cpu_s: float) -> None:
        self._target = target
        self._cpu_s = cpu_s

    def check(self, data: bytes) -> None:
        began_s = time.process_time()
        self._target.check(data)
        now_s = time.process_time()
        if now_s - began_s > INPUT_CPU_S:
            raise TimeoutError(f"{len(data)} bytes took {now_s - began_s:.1f} s of the processor")
        if now_s > self._cpu_s:
            os.kill(os.getpid(), signal.SIGUSR1)  # libFuzzer then ends and tells its figures

    def mutate(self, data: bytes, size_max: int, seed: int) -> bytes:
        rng = Random(seed)
        changed: bytes | None = None
        if rng.random() >= _BYTES_SHARE:
            changed = self._target.mutate(data, rng, atheris.Mutate)
        if changed is None or len(changed) > size_max:
            changed = atheris.Mutate(data, size_max)
        return changed


def main() -> None:
    name, *options = sys.argv[1:]
    cpu_s = float("inf")
    for option in [one for one in options if one.startswith("-cpu_seconds=")]:
        cpu_s = float(option.partition("=")[2])
        options.remove(option)
    logging.disable(logging.WARNING)  # there is one for each input that is told of
    with atheris.instrument_imports(include=["halo_otel"]):
        target = importlib.import_module(f"tests.fuzz.{name}")
    fuzzing = _Fuzzing(target, cpu_s)
    # The first argument is what libFuzzer starts again to merge corpora.
    again = f"{sys.executable} -m tests.fuzz.engine {name}"
    atheris.Setup([again, *options], fuzzing.check, custom_mutator=fuzzing.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
