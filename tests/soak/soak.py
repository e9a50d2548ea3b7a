"""Traffic through a real Collector into the service for minutes or hours, with faults: is anything
lost, doubled, forgotten to tell, or growing?

    python tests/soak/soak.py [--minutes 10] [--rate 10000] [--seed N]
    python tests/soak/soak.py --kills 50 [--rate 300]

The first half of the time holds faults that end processes, the second half only others, so that the
memory of one process can be followed. With `--kills` the service or its engine is killed so often
instead, and that is all. Prints a table; the exit code is 1 if a limit is not kept.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script

from tests.built import built
from tests.soak.course import kill, schedule, soak
from tests.soak.rig import Rig
from tests.soak.table import cpu, exactness, growth, show, speed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    asked = parser.parse_args()
    rate = asked.rate or (300.0 if asked.kills else 10_000.0)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = time.monotonic()
    course = (
        partial(kill, kills=asked.kills, seed=asked.seed)
        if asked.kills
        else partial(schedule, seconds=60 * asked.minutes)
    )
    with tempfile.TemporaryDirectory(prefix="halo-soak-") as scratch:
        # Kills leave a backlog of minutes behind, and short windows are quick to have something to tell.
        window_s, lookback_s = (4, 180) if asked.kills else (10, 60)
        rig = Rig(built("collector"), Path(scratch), rate, window_s=window_s, lookback_s=lookback_s)
        outcome = soak(rig, Path(scratch), course, seed=asked.seed)
    lines = exactness(outcome)
    if not asked.kills:
        lines += [*speed(outcome, rate), *growth(outcome)]
    took_s = time.monotonic() - began
    print(f"seed {asked.seed}, {outcome.elapsed_s:.0f} s of traffic, {took_s:.0f} s in all")
    show(outcome, [*lines, *cpu(outcome)])
    return 0 if all(line.kept for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
