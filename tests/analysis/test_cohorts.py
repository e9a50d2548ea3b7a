"""Cohorts: which runs fail, are slow or cost much, and which merely look so."""

from collections.abc import Callable
from random import Random

import pytest

from halo_otel.analysis.cohorts.mining import SUPPORT_MIN, Case, Cohort, mine
from halo_otel.model.finding import Finding, Role, Severity
from tests.analysis.conftest import Run, Traffic, report_on

ORDER = ("version", "model", "region", "tenant")


def cases(
    count: int, bad: Callable[[dict[str, str], Random], float], seed: int = 0, strata: int = 1
) -> list[Case]:
    """Cases of two versions, four models, three regions and many tenants, bad with the given chance."""
    random = Random(seed)
    made = []
    for _ in range(count):
        attributes = {
            "version": random.choice(("2.3.0", "2.3.1")),
            "model": random.choice(("small", "large", "old", "new")),
            "region": random.choice(("eu", "us", "ap")),
            "tenant": f"tenant {int(random.expovariate(0.2))}",
        }
        stratum = f"agent {random.randrange(strata)}"
        made.append(
            Case(
                bad=random.random() < bad(attributes, random),
                stratum=stratum,
                attributes=attributes,
            )
        )
    return made


def named(cohorts: list[Cohort]) -> list[set[tuple[str, str]]]:
    return [set(cohort.conditions) for cohort in cohorts]


def test_a_pair_of_attributes_is_found_and_not_its_parts() -> None:
    guilty = {("version", "2.3.1"), ("model", "old")}
    found = mine(cases(3000, lambda a, _: 0.4 if guilty <= set(a.items()) else 0.05), ORDER, "shop")
    assert named(found) == [guilty]
    assert found[0].ratio.low > 4
    assert found[0].p_adjusted <= 0.01


def test_a_single_attribute_is_not_told_as_a_pair() -> None:
    found = mine(cases(3000, lambda a, _: 0.4 if a["region"] == "ap" else 0.05), ORDER, "shop")
    assert named(found) == [{("region", "ap")}]


def test_two_causes_are_two_cohorts() -> None:
    def bad(a: dict[str, str], _: Random) -> float:
        return 0.5 if a["region"] == "ap" else 0.3 if a["model"] == "old" else 0.03

    assert {("region", "ap")} in (found := named(mine(cases(4000, bad), ORDER, "shop")))
    assert {("model", "old")} in found
    assert len(found) == 2


def test_attributes_of_exactly_the_same_runs_are_named_together() -> None:
    made = [
        Case(
            bad=case.bad,
            stratum="a",
            attributes={**case.attributes, "prompt": f"of {case.attributes['version']}"},
        )
        for case in cases(1000, lambda a, _: 0.4 if a["version"] == "2.3.1" else 0.05)
    ]
    found = mine(made, ("prompt", *ORDER), "shop")
    assert [cohort.conditions for cohort in found] == [(("prompt", "of 2.3.1"),)]
    assert found[0].alike == (("version", "2.3.1"),)


def test_an_agent_that_fails_more_does_not_make_a_cohort_of_where_it_runs() -> None:
    """Hard negative: the region runs mostly the agent that has the harder task."""
    random = Random(5)
    made = []
    for _ in range(4000):
        region = random.choice(("eu", "us"))
        hard = random.random() < (0.8 if region == "us" else 0.2)
        made.append(
            Case(
                bad=random.random() < (0.4 if hard else 0.05),
                stratum="hard" if hard else "easy",
                attributes={"region": region},
            )
        )
    assert mine(made, ("region",), "shop") == []
    one_stratum = [Case(bad=c.bad, stratum="", attributes=c.attributes) for c in made]
    assert mine(one_stratum, ("region",), "shop")  # without strata it would be told


def test_luck_is_no_cohort() -> None:
    """Hard negative: many small cells, one rate for all."""
    alarms = sum(bool(mine(cases(1000, lambda a, r: 0.08, seed), ORDER, "s")) for seed in range(60))
    assert alarms <= 2


def test_luck_is_no_cohort_of_few_runs_either() -> None:
    """Hard negative: in small windows some cells have eight runs."""
    alarms = sum(bool(mine(cases(100, lambda a, r: 0.1, seed), ORDER, "s")) for seed in range(150))
    assert alarms <= 3


@pytest.mark.parametrize(
    ("bad", "support", "told"),
    [
        (9, 10, True),  # leaps to the eye
        (7, 7, False),  # not with so few
        (5, 15, False),  # many times as often as the others, and yet most of them work
        (5, 20, True),
    ],
)
def test_a_cohort_of_few_runs_must_leap_to_the_eye(bad: int, support: int, told: bool) -> None:
    assert SUPPORT_MIN == 20
    made = [
        Case(
            bad=place < bad or place == 150,
            stratum="a",
            attributes={"version": "new" if place < support else "old"},
        )
        for place in range(160)
    ]
    assert bool(mine(made, ("version",), "shop")) == told


def test_the_same_cases_give_the_same_cohorts() -> None:
    made = cases(1500, lambda a, _: 0.2 if a["version"] == "2.3.1" else 0.1, 3)
    assert mine(made, ORDER, "x") == mine(list(made), ORDER, "x")


# --- as findings


def runs(
    traffic: Traffic, count: int, fails: Callable[[int, Run], bool], **columns: object
) -> None:
    for number in range(count):
        run = traffic.run()
        failing = fails(number, run)
        run.call("search", {"q": len(traffic.runs)}, f"found {len(traffic.runs)}").turn()
        run.rows[0] |= columns
        if failing:
            run.rows[0] |= {"status_code": 2, "error_source": "status", "error_message": "no"}


def cohorts(traffic: Traffic) -> list[Finding]:
    findings = report_on(traffic.rows).findings
    return [finding for finding in findings if finding.category in ("cohort", "regression")]


def beside(traffic: Traffic, share_new: float, share_old: float) -> None:
    """Two versions that run at the same time."""
    random = traffic.random
    for _ in range(150):
        runs(traffic, 1, lambda n, r: random.random() < share_new, service_version="2.3.1")
        runs(traffic, 1, lambda n, r: random.random() < share_old, service_version="2.3.0")


def test_a_version_beside_another_is_a_cohort(traffic: Traffic) -> None:
    beside(traffic, 0.4, 0.05)
    (found,) = cohorts(traffic)
    assert (found.category, found.severity) == ("cohort", Severity.ERROR)
    assert found.subject.attributes == {"version": "2.3.1"}
    assert 'version "2.3.1" fail' in found.title
    failed = {str(row["trace_id"]) for row in traffic.rows if row["status_code"] == 2}
    assert set(found.traces) <= failed
    assert found.impact.traces_affected == len(found.traces) > 40
    assert found.impact.failed_traces_attributable > 20
    contrast = [one for one in found.evidence if one.role is Role.CONTRAST]
    assert contrast
    assert not {one.trace_id for one in contrast} & failed
    assert found.effect.ci[0] > 1.2


def test_a_version_that_replaced_another_is_a_regression(traffic: Traffic) -> None:
    random = traffic.random
    runs(traffic, 150, lambda n, r: random.random() < 0.05, service_version="2.3.0")
    runs(traffic, 150, lambda n, r: random.random() < 0.4, service_version="2.3.1")
    (found,) = cohorts(traffic)
    assert found.category == "regression"
    assert found.title.startswith('Since version "2.3.1"')
    assert "Roll back" in found.recommendation


def test_versions_that_fail_alike_are_silent(traffic: Traffic) -> None:
    beside(traffic, 0.1, 0.1)
    assert cohorts(traffic) == []


def test_what_happens_in_a_run_is_not_named_as_its_cause(traffic: Traffic) -> None:
    """Hard negative: failing runs are longer and use another tool; neither was there before."""
    for number in range(200):
        run = traffic.run(outcome=number % 4 != 0)
        run.call("search", {"q": number}, f"found {number}")
        if number % 4 == 0:
            for step in range(5):
                run.call("escalate", {"n": f"{number} {step}"}, f"no {step}")
    assert cohorts(traffic) == []


def test_slow_runs_of_a_version_warn(traffic: Traffic) -> None:
    random = traffic.random
    for number in range(300):
        new = number % 4 == 0
        run = traffic.run()
        slow = random.uniform(0.8, 1.2) * (3 if new else 1)
        run.call("search", {"q": number}, f"found {number}", ms=2000 * slow)
        run.rows[0] |= {"service_version": "2" if new else "1"}
    found = cohorts(traffic)
    assert [one.severity.value for one in found] == ["warn"]
    assert "are slow" in found[0].title


def test_larger_inputs_take_longer_and_are_no_finding(traffic: Traffic) -> None:
    """Hard negative: long inputs need more time and tokens, as they should."""
    for number in range(300):
        run = traffic.run()
        large = number % 5 == 0
        run.turn(tokens=9000 if large else 300, ms=9000 if large else 300)
        text = f"read this {'text ' * (4000 if large else 10)}"
        run.rows[0] |= {"input_text": text, "input_text_chars": len(text)}
        run.rows[0] |= {"service_version": "2" if large or number % 7 == 0 else "1"}
    assert [one for one in cohorts(traffic) if one.severity is not Severity.INFO] == []


def test_runs_in_doubt_go_by_their_signs_where_failures_are_recorded(traffic: Traffic) -> None:
    for number in range(160):
        new = number % 4 == 0
        ended = False if number in (0, 4, 8, 12) else None if new and number % 3 else True
        run = traffic.run(outcome=ended)
        lost = "no such record" if new and ended is None else None
        run.call("search", {"q": number}, None if lost else f"found {number}", error=lost).turn()
        for row in run.rows:
            row["service_version"] = "2.3.1" if new else "2.3.0"
    (found,) = cohorts(traffic)
    assert found.category == "cohort"
    assert "2.3.1" in found.title
    assert found.summary.startswith(f"{found.impact.traces_affected} of 40 runs")
    assert len(found.traces) == found.impact.traces_affected > 20


def asking(run: Run, task: str) -> None:
    run.rows[0] |= {"input_text": f"{task} number {run.trace_id}", "input_text_chars": 80}


@pytest.mark.parametrize(("share", "severity"), [(0.3, "info"), (0.9, "error")])
def test_a_task_that_fails_more_often_may_just_be_harder(
    traffic: Traffic, share: float, severity: str
) -> None:
    for number in range(240):
        hard = number % 4 == 0
        run = traffic.run(outcome=traffic.random.random() >= (share if hard else 0.02))
        asking(run, "settle this claim" if hard else "look up claim")
        run.call("search", {"q": number}, f"found {number}").turn()
    assert [one.severity.value for one in cohorts(traffic)] == [severity]


def test_a_region_that_asks_for_harder_tasks_is_not_named(traffic: Traffic) -> None:
    """Hard negative: within each task all regions fail alike."""
    random = traffic.random
    for number in range(400):
        east = number % 2 == 0
        hard = random.random() < (0.8 if east else 0.2)
        run = traffic.run(outcome=random.random() >= (0.4 if hard else 0.04))
        asking(run, "settle this claim" if hard else "look up claim")
        run.call("search", {"q": number}, f"found {number}").turn()
        for row in run.rows:
            row["deployment"] = "east" if east else "west"
    assert not [one for one in cohorts(traffic) if "deployment" in one.subject.attributes]


def test_nothing_is_compared_where_outcomes_are_unknown(traffic: Traffic) -> None:
    for number in range(100):
        traffic.run(outcome=None).call("search", {"q": number}, f"found {number}").rows[0] |= {
            "service_version": "2" if number % 2 else "1"
        }
    assert cohorts(traffic) == []
