"""What must hold whatever the traffic is."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.analysis import frame
from halo_otel.analysis.claims.hit import Group
from halo_otel.analysis.claims.statistics import risk_ratio_low, wilson
from halo_otel.analysis.claims.wording import plain, quoted
from halo_otel.analysis.detectors import DETECTORS
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.judging import judge
from halo_otel.analysis.reduce import reduce
from halo_otel.analysis.usual import profile
from halo_otel.analysis.usual.profile import Profile
from halo_otel.config import sections
from halo_otel.model.finding import Finding
from halo_otel.model.report import Report
from tests.analysis.conftest import (
    START_NS,
    Row,
    Traffic,
    findings_in,
    report_on,
    view_of,
)

SETTINGS = sections.Analysis()


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Healthy runs, and each fault in some."""
    traffic = Traffic().healthy(60)
    for number in range(8):
        loop = traffic.run(outcome=False)
        for _ in range(5):
            loop.call("search", {"q": "same"}, "nothing")
        storm = traffic.run()
        for _ in range(6):
            storm.call("fetch", {"u": "x"}, None, error=f"HTTP 503 after {number} ms")
        traffic.run(outcome=False).call("pay", {"n": number}, None, error=f"no card {number}")
    for number in range(60):
        slow = 20 if number % 9 == 0 else 1
        run = traffic.run()
        run.call(
            "render", {"n": number}, f"{number}", ms=200 * slow * traffic.random.uniform(0.8, 1.2)
        )
    return traffic.rows


@pytest.fixture(scope="module")
def report(rows: list[Row]) -> Report:
    """What an analysis of them says; nothing of a report can be changed."""
    return report_on(rows)


def test_the_traffic_holds_every_fault(report: Report) -> None:
    found = {finding.category for finding in report.findings}
    assert found == {"loop", "retry_storm", "error", "latency"}


def test_the_order_of_rows_does_not_matter(rows: list[Row], report: Report) -> None:
    placed: list[Row] = [{**row, "position": place} for place, row in enumerate(rows)]
    random.Random(1).shuffle(placed)
    assert report_on(placed).findings == report.findings


def shards_of(rows: list[Row], count: int) -> list[list[str]]:
    ids = sorted({str(row["trace_id"]) for row in rows})
    random.Random(count).shuffle(ids)
    return [ids[place::count] for place in range(count)]


def test_any_cut_into_shards_gives_the_same_findings(rows: list[Row], report: Report) -> None:
    shards = shards_of(rows, 5)
    with view_of(rows) as view:
        learned = [profile.learn(frame.build(view.con, shard)) for shard in shards]
        whole = profile.merge(learned)
        judgements: list[Judgement] = []
        for shard in shards:
            judgements += judge(frame.build(view.con, shard), whole)
        resources = {1: view.resource_of(1).attributes}
    random.Random(0).shuffle(judgements)
    reduced = reduce(judgements, settings=SETTINGS, resources=resources)
    assert (reduced.findings, reduced.coverage) == (report.findings, report.coverage)


def told(findings: tuple[Finding, ...] | list[Finding]) -> list[str]:
    return sorted(finding.fingerprint for finding in findings)


def test_fingerprints_know_no_ids_times_and_counts(rows: list[Row], report: Report) -> None:
    later = 86_400_000_000_000
    moved: list[Row] = [
        {
            **row,
            "trace_id": str(row["trace_id"])[::-1],
            "start_ns": int(str(row["start_ns"])) + later,
            "end_ns": int(str(row["end_ns"])) + later,
        }
        for row in rows
    ]
    fewer = [row for row in rows if int(str(row["trace_id"]), 16) % 13]
    expected = told(report.findings)
    assert told(report_on(moved).findings) == expected
    assert told(report_on(fewer).findings) == expected


def test_priorities_fall_and_evidence_is_there(rows: list[Row], report: Report) -> None:
    findings = report.findings
    known = {(row["trace_id"], row["span_id"]) for row in rows}
    assert [f.priority for f in findings] == sorted((f.priority for f in findings), reverse=True)
    for finding in findings:
        assert finding.evidence
        assert {(e.trace_id, e.span_id) for e in finding.evidence} <= known
        assert {e.trace_id for e in finding.evidence} <= set(finding.traces)
        assert finding.first_seen_ns >= START_NS
        assert finding.effect.ci[0] <= finding.effect.value <= finding.effect.ci[1]


def test_limits_are_kept(rows: list[Row]) -> None:
    narrow = sections.Analysis(max_findings=2, max_evidence=4)
    findings = report_on(rows, narrow).findings
    assert len(findings) == 2
    assert all(len(finding.evidence) <= 4 for finding in findings)


PROFILES = st.dictionaries(
    st.integers(0, 2), st.dictionaries(st.integers(0, 5), st.integers(1, 9)), max_size=3
).map(
    lambda groups: Profile(
        durations={group(number): histogram for number, histogram in groups.items()}
    )
)


def group(number: int) -> Group:
    return Group("shop", "booker", "tool", f"tool {number}")


@given(PROFILES, PROFILES, PROFILES)
def test_merging_profiles_is_associative_and_commutative(
    a: Profile, b: Profile, c: Profile
) -> None:
    assert profile.merge([profile.merge([a, b]), c]) == profile.merge([a, profile.merge([b, c])])
    assert profile.merge([a, b]) == profile.merge([b, a])


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_rate_and_narrows(hits: int, more: int) -> None:
    total = hits + more
    low, high = wilson(hits, total)
    assert 0 <= low <= hits / total <= high <= 1
    wide_low, wide_high = wilson(hits, total)
    narrow_low, narrow_high = wilson(hits * 10, total * 10)
    assert narrow_high - narrow_low <= wide_high - wide_low


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
def test_the_risk_ratios_lower_bound_is_below_the_ratio(a: int, b: int, c: int, d: int) -> None:
    low = risk_ratio_low(a, a + b, c, c + d)
    assert 0 <= low <= ((a + 0.5) / (a + b + 1)) / ((c + 0.5) / (c + d + 1))


@given(st.text())
def test_shown_text_is_one_bounded_line(text: str) -> None:
    shown = plain(text, 40)
    assert len(shown) <= 40
    assert shown.isprintable()
    assert quoted(text).count('"') == 2


@settings(max_examples=5, deadline=None)
@given(st.text(min_size=1, max_size=80))
def test_strangers_names_do_no_harm(name: str) -> None:
    traffic = Traffic().healthy(10)
    for number in range(5):
        run = traffic.run(agent=name.encode("utf-8", "replace").decode())
        run.call(
            "x", {"n": number}, None, error=f"{name} {number}".encode("utf-8", "replace").decode()
        )
    for finding in findings_in(traffic):
        assert finding.title.isprintable()
        assert len(finding.title) < 400


def test_missing_payloads_are_told_and_stay_silent() -> None:
    traffic = Traffic()
    for _ in range(30):
        run = traffic.run()
        for _ in range(6):
            run.call("search", None, None)
    report = report_on(traffic.rows)
    assert [finding.category for finding in report.findings] == ["instrumentation"]
    assert report.coverage.payload_captured == 0.5  # the turns' words are there
    assert [a.detector for a in report.coverage.detectors_abstained] == [
        detector.name for detector in DETECTORS if detector.needs_payload
    ]


def test_an_empty_view_gives_an_empty_report() -> None:
    report = report_on([])
    assert report.findings == ()
    assert (report.window.traces, report.window.settled) == (0, 0)


def test_the_report_is_the_same_twice(rows: list[Row], report: Report) -> None:
    assert report_on(rows) == report
