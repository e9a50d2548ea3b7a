"""The soak in a minute: faults of all kinds, and nothing is lost, doubled or forgotten to tell."""

import random
from functools import partial
from pathlib import Path

import pytest

from tests.soak.course import Course, each_once, kill, soak
from tests.soak.rig import Rig
from tests.soak.table import exactness, show

RATE = 300.0
PROBE_RATE = 60.0
PAUSE_S = 1.0
KILLS = 5


@pytest.mark.crash
@pytest.mark.collector
@pytest.mark.parametrize("kills", [0, KILLS], ids=["faults", "kills"])
def test_nothing_is_lost_doubled_or_forgotten_to_tell(
    tmp_path: Path, collector_binary: Path, kills: int
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    course: Course = partial(each_once, pause_s=PAUSE_S)
    if kills:
        course = partial(kill, kills=kills, seed=seed)
    outcome = soak(
        Rig(
            collector_binary,
            tmp_path,
            RATE,
            window_s=4,
            lookback_s=180,
            probe_rate=PROBE_RATE,
        ),
        tmp_path,
        course,
        seed=seed,
    )
    lines = exactness(outcome)
    show(outcome, lines)
    assert [line for line in lines if not line.kept] == []
