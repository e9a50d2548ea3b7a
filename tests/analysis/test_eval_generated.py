"""The gate on finding quality: a small, fast cut of `eval_generated`.

Six faulty windows bring every kind of fault to every application and every dialect once (18 faults);
the floors are the figures the design asks for (precision 0.95, recall 0.90, the cause among the first
three spans in 0.8). The windows are the same in every run, so a floor is crossed by a change of code,
never by chance.
"""

import pytest

from tests.analysis.eval_generated import Score, evaluate

RUNS = 100
FAULTY = (0, 4, 8, 9, 13, 17)
CLEAN = (1000, 1001, 1002)


@pytest.fixture(scope="module")
def faulty() -> Score:
    return evaluate(FAULTY, faulty=True, runs=RUNS)


def test_planted_faults_are_found(faulty: Score) -> None:
    missed = [one.label.fault for one in faulty.planted if one.found is None]
    assert len(faulty.planted) >= 15
    assert faulty.recall >= 0.9, missed


def test_what_is_found_is_there(faulty: Score) -> None:
    assert faulty.precision >= 0.95, [one.finding.title for one in faulty.false]


def test_findings_point_at_the_cause(faulty: Score) -> None:
    assert faulty.cause_third >= 0.8, [
        one.label.fault for one in faulty.planted if not one.hit_third
    ]


def test_clean_windows_are_silent() -> None:
    clean = evaluate(CLEAN, faulty=False, runs=RUNS)
    assert not clean.false, [one.finding.title for one in clean.false]


def test_without_payloads_nothing_is_made_up() -> None:
    blind = evaluate((2000,), faulty=False, runs=RUNS, payloads=False)
    assert not blind.false, [one.finding.title for one in blind.false]
