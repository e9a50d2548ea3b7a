"""What the Collector's own testbed asks of a receiver: all that was sent is received.

    python tests/bench/testbed.py [spans per second] [seconds]

10,000 spans a second for 15 s through a real Collector; and the same again with somebody before the
service who answers UNAVAILABLE to 70 % of the requests, the real Collector's retries against it
(opentelemetry-collector-contrib, testbed/tests: trace_test.go and e2e_test.go).
"""

import sys
import tempfile
from functools import partial
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script
from tests.built import built
from tests.soak.course import Outcome, nothing, soak
from tests.soak.refusing import Refusing
from tests.soak.rig import Rig
from tests.soak.table import cpu, exactness, show, speed

REFUSED_SHARE = 0.7
SEED = 7


def run(rate: float, seconds: float, refused_share: float) -> tuple[Outcome, Refusing | None]:
    course = partial(nothing, seconds=seconds)
    with tempfile.TemporaryDirectory(prefix="halo-testbed-") as scratch:
        rig = Rig(built("collector"), Path(scratch), rate, window_s=5, lookback_s=180)
        if not refused_share:
            return soak(rig, Path(scratch), course, seed=SEED), None
        with Refusing(rig.service.grpc_port, refused_share, Random(SEED)) as refusing:
            rig.collector.sends_to(refusing.port)
            return soak(rig, Path(scratch), course, seed=SEED), refusing


def main(rate: float, seconds: float) -> int:
    kept = True
    for share in (0.0, REFUSED_SHARE):
        outcome, refusing = run(rate, seconds, share)
        print(f"{rate:,.0f} spans/s for {seconds:.0f} s, {100 * share:.0f} % UNAVAILABLE")
        if refusing is not None:
            print(f"{refusing.refused} requests refused, {refusing.passed} passed on")
        lines = [*exactness(outcome), *speed(outcome, rate)]
        show(outcome, [*lines, *cpu(outcome)])
        kept = kept and all(line.kept for line in lines)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(
        main(
            float(sys.argv[1]) if len(sys.argv) > 1 else 10_000,
            float(sys.argv[2]) if len(sys.argv) > 2 else 15,
        )
    )
