"""The same telemetry gives the same report to the byte, however it is stored and whoever analyses it."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from halo_otel.demo import bundled
from halo_otel.demo.programme import FAULTS as DEMO_FAULTS
from halo_otel.demo.traffic import generate
from halo_otel.model.span import Span
from tests.analysis import same_bytes
from tests.analysis.conftest import START_NS
from tests.eval.run import Task, make

# Windows with findings of other detectors than the demo's traffic and the real runs have.
PLANTED = (
    Task(generator="alpha", seed=0, fault="serial_calls"),
    Task(generator="alpha", seed=0, fault="orphan_delegation"),
    Task(generator="alpha", seed=0, fault="missing_argument"),
    Task(generator="beta", seed=2, fault="stale_read"),
    Task(generator="beta", seed=2, fault="cohort"),
    Task(generator="beta", seed=2, fault="context_growth"),
)


def real() -> list[Span]:
    """Runs that come with the package: of two sets, in two dialects."""
    return [span for name in bundled.NAMES for run in bundled.traces(name) for span in run]


def planted() -> list[Span]:
    """Many faults of several generators in one window."""
    demo = generate(seed=3, runs=25, start_ns=START_NS, duration_ns=300 * 10**9, faults=DEMO_FAULTS)
    return [*demo.spans, *(span for task in PLANTED for span in make(task).spans)]


def reported(telemetry: Path, *, hash_seed: int, order: int, threads: int, shards: int) -> bytes:
    """The JSON of the report that a process of its own makes."""
    program = Path(same_bytes.__file__)
    done = subprocess.run(
        [sys.executable, program, telemetry, *map(str, (order, threads, shards))],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(("window", "detectors_min"), [(real, 4), (planted, 12)])
def test_reports_are_the_same_to_the_byte(
    window: Callable[[], list[Span]], detectors_min: int, tmp_path: Path
) -> None:
    telemetry = tmp_path / "telemetry"
    telemetry.write_bytes(pickle.dumps([(span, place) for place, span in enumerate(window())]))
    first = reported(telemetry, hash_seed=0, order=0, threads=1, shards=1)
    found = {finding["detector"] for finding in json.loads(first)["findings"]}
    assert len(found) >= detectors_min, sorted(found)
    assert reported(telemetry, hash_seed=1, order=1, threads=2, shards=1) == first
    assert reported(telemetry, hash_seed=2, order=2, threads=4, shards=2) == first
