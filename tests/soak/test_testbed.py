"""The retry test of the Collector's testbed: 70 % of the requests are refused, all spans arrive."""

from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.soak.course import nothing, soak
from tests.soak.refusing import Refusing
from tests.soak.rig import Rig
from tests.soak.table import exactness, show


@pytest.mark.collector
def test_all_that_was_sent_arrives_though_most_requests_are_refused(
    tmp_path: Path, collector_binary: Path
) -> None:
    # Many small requests: each is one more that may be refused, and how much is in it proves nothing.
    rig = Rig(
        collector_binary,
        tmp_path,
        600.0,
        window_s=4,
        lookback_s=180,
        spans_a_request=40,
        probe_rate=60.0,
    )
    with Refusing(rig.service.grpc_port, 0.7, Random(1)) as refusing:
        rig.collector.sends_to(refusing.port)
        outcome = soak(rig, tmp_path, partial(nothing, seconds=10.0), seed=1)
    lines = exactness(outcome)
    show(outcome, lines)
    assert refusing.refused > refusing.passed > 0
    assert [line for line in lines if not line.kept] == []
