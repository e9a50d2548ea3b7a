"""What is looked at: bounded by the window's structure, whatever runs look like."""

from collections.abc import Iterator, Sequence

import pytest

from halo_otel.analysis.judgement import Judgement
from halo_otel.model.goal import Level
from halo_otel.recursion import plan
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.plan import Cluster, Kind, Part
from tests.analysis.conftest import Run, Traffic
from tests.recursion.environments import environment_of, real_runs

# Where one look more is needed, and the one before and behind; one that would need more than there may be.
LENGTHS = (
    *(1, 2, 5),
    *(n * plan.STEPS_MAX + by for n in range(1, plan.PARTS_MAX + 2) for by in (-1, 0, 1)),
    (plan.PARTS_MAX**2 + 1) * plan.STEPS_MAX,
)


@pytest.fixture(scope="module", params=["tau-airline", "intercode-sql"])
def real(request: pytest.FixtureRequest) -> Iterator[Environment]:
    with real_runs(request.param) as environment:
        yield environment


def cluster_of(members: Sequence[Judgement]) -> Cluster:
    return Cluster(name="some", kind=Kind.UNEXPLAINED, members=members)


def leaves(environment: Environment, part: Part) -> list[Part]:
    return plan.split(environment, part) or [part]


def test_parts_of_real_runs_are_few_small_and_apart(real: Environment) -> None:
    cluster = cluster_of(real.judgements)
    for judgement in real.judgements:
        parts = plan.parts_of(real, cluster, judgement.trace_id, None)
        assert 1 <= len(parts) <= plan.PARTS_MAX
        steps = {
            node.span_id for node in real.goals(judgement.trace_id) if node.level is Level.STEP
        }
        judged = [leaf for part in parts for leaf in leaves(real, part)]
        assert len(judged) <= plan.PARTS_MAX**2
        for leaf in judged:
            assert 0 < len(steps.intersection(leaf.spans)) <= plan.STEPS_MAX
        spans = [span for leaf in judged for span in leaf.spans]
        assert len(spans) == len(set(spans))


def long_run(traffic: Traffic, turns: int, wrong: int | None = None) -> Run:
    """A run of many steps, of which one may go wrong for good."""
    run = traffic.run(outcome=None)
    for number in range(turns):
        error = "no such place" if number == wrong else None
        run.call("search", {"q": f"trip {number}"}, f"found {number}", error=error)
    return run


def looks(environment: Environment, trace_id: str) -> list[Part]:
    """What is looked at of one run, by itself."""
    (judgement,) = (one for one in environment.judgements if one.trace_id == trace_id)
    parts = plan.parts_of(environment, cluster_of((judgement,)), trace_id, None)
    return [leaf for part in parts for leaf in leaves(environment, part)]


def test_a_run_of_any_length_is_cut_into_few_looks() -> None:
    traffic = Traffic()
    runs = [long_run(traffic, turns) for turns in LENGTHS]
    with environment_of(traffic.rows) as environment:
        for run in runs:
            judged = looks(environment, run.trace_id)
            steps = [
                node.span_id for node in environment.goals(run.trace_id) if node.level is Level.STEP
            ]
            covered = min(len(steps), plan.STEPS_MAX * plan.PARTS_MAX)
            assert len(judged) <= plan.PARTS_MAX**2
            told = {span for leaf in judged for span in leaf.spans}
            assert len(told.intersection(steps)) >= min(covered, plan.STEPS_MAX)


def test_what_went_wrong_is_looked_at_however_long_the_run_is() -> None:
    traffic = Traffic()
    runs = [long_run(traffic, 90, wrong) for wrong in (3, 47, 88)]
    with environment_of(traffic.rows) as environment:
        for run in runs:
            ((bad,),) = environment.rows(
                "select span_id from spans where failed and kind = 'tool' and trace_id = ?",
                [run.trace_id],
            )
            assert any(bad in leaf.spans for leaf in looks(environment, run.trace_id))


def test_a_passing_run_answers_part_by_part() -> None:
    traffic = Traffic()
    for passes in (False, True):
        run = traffic.run(outcome=passes)
        run.call("search", {"q": "x"}, "found").call("book", {"id": 1}, "booked").turn()
    with environment_of(traffic.rows) as environment:
        failing, passing = (one.trace_id for one in environment.judgements)
        (part,) = plan.parts_of(environment, cluster_of(environment.judgements), failing, passing)
        theirs = {
            span
            for (span,) in environment.rows(
                "select span_id from spans where trace_id = ?", [passing]
            )
        }
        assert part.passing == passing
        assert part.expected
        assert theirs.issuperset(part.expected)


def test_clusters_are_the_worst_findings_then_failures_then_samples() -> None:
    traffic = Traffic()
    traffic.healthy(6, outcome=None, agent="writer")
    traffic.healthy(2, outcome=None, agent="rare")
    traffic.healthy(6, outcome=True, agent="reader")
    with environment_of(traffic.rows) as environment:
        names = [(one.name, one.kind) for one in plan.clusters_of(environment)]
    assert names == [("unknown outcome:shop/writer", Kind.SAMPLED)]
