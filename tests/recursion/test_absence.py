"""When the silence of a model's run counts."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from halo_otel.model.finding import Finding, Subject
from halo_otel.recursion import plan
from halo_otel.recursion.absence import absent
from halo_otel.recursion.claims.telling import identity
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.tools import clusters
from halo_otel.recursion.talk.conversing import WINDOW
from tests.recursion.environments import bookings, environment_of


@pytest.fixture(scope="module")
def booked() -> Iterator[Environment]:
    with environment_of(bookings().rows, str) as environment:
        yield environment


def found_in(environment: Environment, cluster: str) -> Finding:
    """What a model found in a cluster."""
    subject = Subject(tool="book")
    known = environment.report.findings[0]
    print_ = identity(subject, "error", cluster)
    return replace(known, fingerprint=print_, subject=subject, category="error", tier="model")


def test_each_run_of_the_cluster_was_a_chance(booked: Environment) -> None:
    runs = booked.judgements
    service, agent = runs[0].service, runs[0].agent
    of_agent = [one for one in runs if (one.service, one.agent) == (service, agent)]
    for cluster, chances in (
        (
            clusters.unexplained(service, agent),
            sum(one.failed is not None for one in of_agent),
        ),
        (WINDOW, len(runs)),
    ):
        known = found_in(booked, cluster)
        assert chances > 0
        assert absent([known], runs, ()) == {known.fingerprint: chances}
        assert absent([known], runs, {cluster}) == {known.fingerprint: None}
        assert absent([known], runs, {"another"}) == {known.fingerprint: chances}


def test_runs_of_unknown_outcome_are_a_cluster_of_their_own(booked: Environment) -> None:
    runs = [replace(one, failed=None) for one in booked.judgements]
    known = found_in(booked, plan.sampled(runs[0].service, runs[0].agent))
    failed = found_in(booked, clusters.unexplained(runs[0].service, runs[0].agent))
    counts = absent([known, failed], runs, ())
    assert counts[known.fingerprint]
    assert failed.fingerprint not in counts


def test_without_runs_nothing_is_said(booked: Environment) -> None:
    known = found_in(booked, clusters.unexplained("elsewhere", "nobody"))
    assert absent([known], booked.judgements, ()) == {}
    assert absent([found_in(booked, WINDOW)], [], ()) == {}
