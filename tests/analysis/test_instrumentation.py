"""What the telemetry leaves out is told once, as such, and not taken for health or for a fault."""

import pytest

from halo_otel.model.finding import Finding, Severity
from tests.analysis.conftest import Traffic, findings_in, report_on


def gaps(traffic: Traffic) -> list[Finding]:
    return findings_in(traffic, "instrumentation")


def without_content(traffic: Traffic, runs: int, **columns: object) -> Traffic:
    """Runs whose tools and models were recorded without a word."""
    for _ in range(runs):
        run = traffic.run()
        for _ in range(4):
            run.call("search", None, None)
        for row in run.rows:
            row["output_text"] = None
            if row["span_kind"] == "tool":
                row |= columns
    return traffic


def test_recorded_content_and_usage_need_no_word(traffic: Traffic) -> None:
    assert gaps(traffic.healthy(40)) == []


def test_missing_content_is_one_finding_about_the_service(traffic: Traffic) -> None:
    without_content(traffic, 12, dialects="openinference")
    (finding,) = findings_in(traffic)
    assert finding.category == "instrumentation"
    assert finding.severity is Severity.INFO
    assert finding.confidence == 1
    assert (finding.subject.service, finding.subject.agent) == ("shop", None)
    assert (finding.impact.traces_affected, finding.impact.traces_exposed) == (12, 12)
    assert "what tools and models were asked and answered is not recorded" in finding.title
    assert "OPENINFERENCE_HIDE_INPUTS" in finding.recommendation


def test_agents_of_one_service_are_not_told_one_by_one(traffic: Traffic) -> None:
    for number in range(12):
        run = traffic.run(agent=f"agent {number % 4}")
        run.call("search", None, None).call("search", None, None)
        for row in run.rows:
            row["output_text"] = None
    assert len(gaps(traffic)) == 1


@pytest.mark.parametrize(
    ("why", "cure"),
    [
        ("redacted", "keyed hashes"),
        ("truncated", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        ("empty", "Switch it on"),
    ],
)
def test_why_it_is_missing_decides_the_cure(traffic: Traffic, why: str, cure: str) -> None:
    without_content(traffic, 12, arguments_unknown=why)
    for run in traffic.runs:
        for row in run.rows:
            if row["span_kind"] == "llm":
                row["output_unknown"] = why
    report = report_on(traffic.rows)
    (finding,) = [one for one in report.findings if one.category == "instrumentation"]
    assert finding.title.endswith(f"is {why}")
    assert cure in finding.recommendation
    assert f"48 {why}" in report.coverage.detectors_abstained[0].why


def test_an_operator_who_samples_content_has_chosen_to(traffic: Traffic) -> None:
    without_content(traffic.healthy(20), 9)
    assert gaps(traffic) == []


def test_a_few_calls_without_content_are_no_gap(traffic: Traffic) -> None:
    for _ in range(20):
        traffic.run().call("search", {"q": 1}, "x").call("ping", None, None).turn().turn()
    assert gaps(traffic) == []


def test_missing_usage_is_told_by_itself(traffic: Traffic) -> None:
    traffic.healthy(10)
    for row in traffic.rows:
        row |= {"input_tokens": None, "output_tokens": None}
    (finding,) = gaps(traffic)
    assert "token usage is not recorded" in finding.title
    assert "include_usage" in finding.recommendation


def test_usage_that_only_the_agent_states_is_there(traffic: Traffic) -> None:
    traffic.healthy(10)
    for row in traffic.rows:
        tokens = 900 if row["span_kind"] == "agent" else None
        row |= {"input_tokens": tokens, "output_tokens": None}
    assert gaps(traffic) == []


def test_it_stands_below_everything_that_harms(traffic: Traffic) -> None:
    without_content(traffic, 40)
    for _ in range(4):
        traffic.run().call("search", None, None, error="TimeoutError: gave up")
    assert [finding.category for finding in findings_in(traffic)] == ["error", "instrumentation"]


def test_a_cut_query_is_not_equal_to_another(traffic: Traffic) -> None:
    traffic.healthy(40)
    for number in range(12):
        run = traffic.run(session=f"s{number}")
        for _ in range(5):
            run.call("lookup", None, None)
            run.rows[-1] |= {
                "span_kind": "retriever",
                "input_text": '{"query": "a long quest',
                "input_text_chars": 23,
                "output_text": "what was found",
                "output_text_chars": 14,
            }
    assert "loop" in {finding.category for finding in findings_in(traffic)}
    for row in traffic.rows:
        if row["span_kind"] == "retriever":
            row["input_unknown"] = "truncated"
    assert "loop" not in {finding.category for finding in findings_in(traffic)}
