"""Before and after: what was fixed, what broke, and what only looks so."""

from collections.abc import Callable
from contextlib import ExitStack
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.causality.inference import (
    adjusted_p,
    beta_binomial,
    beta_binomial_tails,
    difference,
    fisher,
    fisher_both,
    mann_whitney,
    ratio_of_levels,
    risk_ratio,
)
from halo_otel.analysis.change.compare import Compared, compare_reports, compare_views
from halo_otel.config import sections
from halo_otel.model.comparison import Change, FindingChange
from halo_otel.model.finding import Severity, Status
from tests.analysis.conftest import Row, Run, Traffic, report_on, view_of

SETTINGS = sections.Analysis()


def compared(before: list[Row], after: list[Row]) -> Compared:
    with ExitStack() as stack:
        sides = [stack.enter_context(view_of(rows)) for rows in (before, after)]
        return compare_views(*sides, settings=SETTINGS)


def healthy_and(
    faults: int, fault: Callable[[Run], None], *, runs: int = 120, seed: int = 0
) -> list[Row]:
    """Healthy runs with so many faulty ones spread among them."""
    traffic = Traffic(seed)
    for number in range(runs):
        if number * faults // runs != (number + 1) * faults // runs:
            fault(traffic.run())
        else:
            traffic.healthy(1)
    return traffic.rows


def loop(run: Run) -> None:
    for _ in range(6):
        run.call("search", {"q": "same"}, "nothing")


def card_error(run: Run) -> None:
    run.call("search", {"q": run.trace_id}, "found").call(
        "pay", {"n": run.trace_id}, None, error=f"CardError: no card {run.trace_id[-3:]}"
    )
    run.rows[0] |= {"status_code": 2, "error_source": "status", "error_message": "failed"}


def of(result: Compared, category: str) -> FindingChange:
    (found,) = [one for one in result.comparison.findings if one.finding.category == category]
    return found


def nothing(run: Run) -> None:
    run.call("search", {"q": run.trace_id}, f"found {run.trace_id}")


def test_a_fault_that_is_gone_despite_exposure_is_fixed() -> None:
    result = compared(healthy_and(15, loop), healthy_and(0, nothing))
    found = of(result, "loop")
    assert found.change is Change.FIXED
    assert (found.before.affected, found.after.affected) == (15, 0)
    assert found.after.exposed == 120
    assert not result.comparison.regressed
    assert result.report.findings == ()


def test_silence_is_no_fix() -> None:
    result = compared(healthy_and(6, loop), healthy_and(0, nothing, runs=15))
    assert of(result, "loop").change is Change.UNSEEN


def test_a_new_fault_breaks_the_build() -> None:
    result = compared(healthy_and(0, nothing), healthy_and(20, card_error))
    found = of(result, "error")
    assert found.change is Change.NEW
    assert found.sure
    assert found.breaks
    assert result.comparison.regressed
    assert {f.status for f in result.report.findings if f.category == "error"} == {Status.NEW}
    (worse,) = [f for f in result.report.findings if f.category == "regression"]
    assert worse.status is Status.REGRESSED
    assert worse.subject.agent == "booker"
    assert set(worse.traces) == set(found.finding.traces)


def test_the_same_fault_has_one_name_although_its_texts_differ() -> None:
    """Each side alone would merge its error texts differently."""

    def timed_out(where: str) -> Callable[[Run], None]:
        def fault(run: Run) -> None:
            run.call(
                "pay", {"n": run.trace_id}, None, error=f"Timeout while asking {where} bank now"
            )

        return fault

    result = compared(healthy_and(10, timed_out("the")), healthy_and(10, timed_out("our")))
    assert of(result, "error").change is Change.SAME


@pytest.mark.parametrize(
    ("before", "after", "change", "status"),
    [
        (6, 40, Change.WORSE, Status.ESCALATING),
        (40, 6, Change.BETTER, Status.IMPROVING),
        (12, 14, Change.SAME, Status.ONGOING),
    ],
)
def test_worse_better_and_the_same(before: int, after: int, change: Change, status: Status) -> None:
    result = compared(healthy_and(before, loop), healthy_and(after, loop, seed=1))
    assert of(result, "loop").change is change
    assert [f.status for f in result.report.findings if f.category == "loop"] == [status]
    assert result.comparison.regressed is (change is Change.WORSE)


def test_a_set_against_itself_shows_nothing() -> None:
    rows = healthy_and(12, card_error)
    result = compared(rows, rows)
    assert {one.change for one in result.comparison.findings} == {Change.SAME}
    assert {one.change for one in result.comparison.metrics} == {Change.SAME}
    assert not result.comparison.regressed


def test_slower_runs_are_a_figure_that_got_worse() -> None:
    def traffic(factor: float, seed: int) -> list[Row]:
        made = Traffic(seed)
        for number in range(60):
            spread = made.random.lognormvariate(0, 0.3)
            made.run().call("render", {"n": number}, f"{number} {seed}", ms=2000 * factor * spread)
        return made.rows

    result = compared(traffic(1, 1), traffic(1.6, 2))
    worse = [one for one in result.comparison.metrics if one.change is Change.WORSE]
    assert [one.name for one in worse] == ["duration"]
    assert 1.2 < worse[0].effect.ci[0] < worse[0].effect.value < worse[0].effect.ci[1]
    (told,) = [f for f in result.report.findings if f.category == "regression"]
    assert told.severity is Severity.WARN
    same = compared(traffic(1, 1), traffic(1, 2))
    assert {one.change for one in same.comparison.metrics} == {Change.SAME}


def test_another_mix_of_agents_changes_no_figure() -> None:
    """Hard negative: more of the slow agent's runs, each agent as fast as ever."""

    def traffic(slow: int, quick: int, seed: int) -> list[Row]:
        made = Traffic(seed)
        for agent, count, ms in (("deep", slow, 9000), ("quick", quick, 900)):
            for number in range(count):
                ms_now = ms * made.random.lognormvariate(0, 0.2)
                made.run(agent=agent).call("x", {"n": number}, f"{agent} {number}", ms=ms_now)
        return made.rows

    result = compared(traffic(25, 75, 1), traffic(75, 25, 2))
    assert {one.change for one in result.comparison.metrics} == {Change.SAME}
    assert not result.comparison.regressed


def test_clean_pairs_are_silent() -> None:
    """A/A: nothing changed, the rates are the same and vary by luck."""
    alarms = 0
    for seed in range(12):
        random = Random(seed)
        sides = [
            healthy_and(sum(random.random() < 0.1 for _ in range(120)), card_error, seed=seed)
            for _ in range(2)
        ]
        alarms += compared(*sides).comparison.regressed
    assert alarms == 0


def test_reports_are_compared_by_what_they_hold() -> None:
    before, after = report_on(healthy_and(15, loop)), report_on(healthy_and(20, card_error))
    result = compare_reports(before, after)
    assert of(result, "loop").change is Change.FIXED
    assert of(result, "error").change is Change.NEW
    assert result.comparison.regressed
    assert not compare_reports(before, before).comparison.regressed
    assert {f.status for f in compare_reports(after, after).report.findings} == {Status.ONGOING}


# --- the formulas

COUNTS = st.integers(0, 40)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_fishers_tails_overlap_in_what_was_seen(a: int, b: int, c: int, d: int) -> None:
    more, fewer = fisher(a, a + b, c, c + d), fisher(c, c + d, a, a + b)
    assert 0 <= more <= 1
    assert more + fewer >= 1 - 1e-9
    assert fisher_both(a, a + b, c, c + d) == pytest.approx(fisher_both(c, c + d, a, a + b))


def test_fishers_test_is_fishers() -> None:
    assert fisher(3, 4, 1, 4) == pytest.approx(17 / 70)  # the lady tasting tea


@given(st.integers(1, 60), st.floats(0.01, 0.9), st.floats(1, 500))
def test_a_beta_binomial_is_a_distribution(n: int, mean: float, weight: float) -> None:
    import math

    chances = [math.exp(beta_binomial(k, n, mean, weight)) for k in range(n + 1)]
    assert math.fsum(chances) == pytest.approx(1, abs=1e-6)
    assert math.fsum(k * p for k, p in enumerate(chances)) == pytest.approx(n * mean, rel=1e-4)
    for k in (0, n // 2, n):
        upper, lower = beta_binomial_tails(k, n, mean, weight)
        assert upper == pytest.approx(math.fsum(chances[k:]), abs=1e-6)
        assert lower == pytest.approx(math.fsum(chances[: k + 1]), abs=1e-6)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_adjusting_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    adjusted = adjusted_p(p_values)
    for place, p in enumerate(p_values):
        assert p <= adjusted[place] + 1e-12 <= 1 + 1e-12
        for other, q in enumerate(p_values):
            assert p > q or adjusted[place] <= adjusted[other] + 1e-12


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_intervals_hold_their_value(a: int, b: int, c: int, d: int) -> None:
    for estimate in (risk_ratio(a, a + b, c, c + d), difference(a, a + b, c, c + d)):
        assert estimate.low <= estimate.value <= estimate.high


VALUES = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=30)


@given(VALUES, VALUES, st.floats(0.5, 5))
def test_levels_scale(values: list[float], others: list[float], factor: float) -> None:
    one = ratio_of_levels(values, others)
    assert one.low <= one.value <= one.high
    assert mann_whitney(values, others) == pytest.approx(mann_whitney(others, values))
    scaled = ratio_of_levels([factor * value for value in values], others)
    assert scaled.value == pytest.approx(factor * one.value, rel=1e-6)
