"""Traffic to look at: one clean window and one with every fault, built once."""

import pytest

from halo_otel.clock import NS_PER_S
from halo_otel.demo.applications import APPLICATIONS
from halo_otel.demo.faults import Fault
from halo_otel.demo.traffic import Traffic, generate

START_NS = 1_790_000_000 * NS_PER_S
DURATION_NS = 600 * NS_PER_S


@pytest.fixture(scope="session")
def clean() -> Traffic:
    return generate(seed=1, runs=60, start_ns=START_NS, duration_ns=DURATION_NS)


@pytest.fixture(scope="session")
def faulty() -> Traffic:
    faults = [
        Fault(kind=kind, service=one.service, agent=agent, tool=tool, rate=1.0)
        for one in APPLICATIONS
        for kind, targets in one.targets.items()
        for agent, tool in targets
    ]
    return generate(seed=2, runs=150, start_ns=START_NS, duration_ns=DURATION_NS, faults=faults)
