"""What must be found in real agent runs, and whom it must leave alone.

The corpus lies beside the checkout and is not part of it; without it these tests skip.
"""

import pytest

from tests.analysis.eval_corpus import SETS, Verdict, verdict

pytestmark = pytest.mark.skipif(not SETS, reason="the corpus is not beside the checkout")


@pytest.fixture(scope="module")
def sql() -> Verdict:
    return verdict("intercode-sql")


@pytest.fixture(scope="module")
def airline() -> Verdict:
    return verdict("tau-airline")


def test_sql_agents_share_errors_over_many_traces(sql: Verdict) -> None:
    texts = [f"{one.title} {one.summary}" for one in sql.of("error")]
    assert any("doesn't exist" in text for text in texts)  # unknown table
    assert max(len(one.traces) for one in sql.of("error")) >= 100


def test_sql_agents_send_the_same_query_again_and_again(sql: Verdict) -> None:
    repeated = {trace for c in ("loop", "retry_storm") for f in sql.of(c) for trace in f.traces}
    # 128 runs send one query three times or more in a row; retry storms start at four.
    assert len(repeated) >= 90
    assert len(repeated & sql.failed) >= 0.95 * len(repeated)


def test_loops_leave_healthy_sql_runs_alone(sql: Verdict) -> None:
    """Healthy runs hold failed calls too, so errors may name them; loops may not."""
    named = {trace for c in ("loop", "retry_storm") for f in sql.of(c) for trace in f.traces}
    assert len(named & sql.healthy) <= 0.02 * len(sql.healthy)


def test_airline_errors_that_only_the_text_tells_are_found(airline: Verdict) -> None:
    errors = airline.of("error")
    assert any("payment" in one.title for one in errors)
    assert all(one.severity in ("info", "warn") for one in errors)  # no status says ERROR


def test_airline_runs_neither_loop_nor_lag(airline: Verdict) -> None:
    assert not airline.of("loop")
    assert not airline.of("latency")  # the set's times are made up


@pytest.mark.parametrize("name", SETS)
def test_healthy_runs_are_left_alone(name: str) -> None:
    """They hold failed calls, too; a few may be listed for what was no failure. terminal-bench has but four."""
    judged = verdict(name)
    assert not judged.healthy_named
    assert len(judged.healthy_listed) <= max(1, 0.05 * len(judged.healthy))


@pytest.mark.parametrize("name", SETS)
def test_every_finding_has_evidence_in_the_set(name: str) -> None:
    judged = verdict(name)
    known = judged.healthy | judged.failed
    for one in judged.report.findings:
        assert one.evidence
        assert {item.trace_id for item in one.evidence} <= set(one.traces)
        assert known.intersection(one.traces)
        assert one.impact.traces_affected == len(one.traces) <= one.impact.traces_exposed
