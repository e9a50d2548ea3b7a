"""Longer runs: `python -m tests.fuzz.campaign [--seconds N] [--keep] [TARGET…]`, or `make fuzz SECONDS=N`.

Each target runs for so many seconds of the processor. What it finds is kept outside the checkout, in
`${HALO_CACHE:-~/.cache/halo-otel}/fuzz`, and the next run goes on from there. `--keep` then takes the smallest
inputs that reach as much into `tests/fuzz/corpus`.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz.running import CORPORA, TARGETS, fuzz, write_seeds

# Of each target; a test holds all together to 1 MiB.
_KEPT_BYTES_MAX: Final = 150 << 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=TARGETS)
    given = parser.parse_args()
    cache = Path(os.environ.get("HALO_CACHE") or Path.home() / ".cache" / "halo-otel") / "fuzz"
    crashed = [
        target for target in given.targets if _crashes(target, given.seconds, cache, given.keep)
    ]
    sys.exit(f"crashed: {', '.join(crashed)}" if crashed else 0)


def _crashes(target: str, seconds: int, cache: Path, keep: bool) -> bool:
    found, crashes, kept = cache / target, cache / "crashes", CORPORA / target
    for directory in (found, crashes, kept):
        directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        corpora = (found, kept, write_seeds(target, scratch / "seeds"))
        outcome = fuzz(target, scratch, corpora, f"-cpu_seconds={seconds}")
        for crash in scratch.glob(f"{target}-*"):
            shutil.move(crash, crashes / crash.name)
        if keep:
            _keep(target, scratch, found, kept)
    print(
        f"{target}: {outcome.executions} executions in {outcome.cpu_s:.0f} CPU seconds,"
        f" {outcome.coverage} branches, {len(list(found.iterdir()))} inputs"
        f"{', CRASHED' if outcome.crashed else ''}",
        flush=True,
    )
    if outcome.crashed:
        print(f"{outcome.output[-4000:]}\nThe input is in {crashes}.", flush=True)
    return outcome.crashed


def _keep(target: str, scratch: Path, found: Path, kept: Path) -> None:
    """What is needed of `found` and `kept` to reach all that they reach, into `kept`; the smallest of it."""
    merged = scratch / "merged"
    merged.mkdir()
    fuzz(target, scratch, (merged, kept, found, scratch / "seeds"), "-merge=1")
    for old in kept.iterdir():
        old.unlink()
    room = _KEPT_BYTES_MAX
    for new in sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        room -= new.stat().st_size
        if room >= 0:
            shutil.move(new, kept / new.name)


if __name__ == "__main__":
    main()
