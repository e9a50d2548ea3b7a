"""What the registry makes of runs."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.config.sections import Emit
from halo_otel.errors import NotFound
from halo_otel.findings import UNRESOLVED, Baseline, Query, Registry, SignalKind
from halo_otel.findings import told as told_module
from halo_otel.findings.store import Store
from halo_otel.findings.tables import METADATA
from halo_otel.model.finding import Finding, Impact, Role, Severity, Status, Subject
from halo_otel.selfobs import Counters

T0 = 1_700_000_000 * NS_PER_S
HOUR = 3600 * NS_PER_S


def emitted(registry: Registry, now_ns: int = T0) -> list[dict[str, Any]]:
    """All log records in the outbox, which is emptied."""
    records = []
    for kind in SignalKind:
        pending = registry.pending(kind, 10_000, now_ns + 10**18, 1)
        registry.mark_emitted([record.record_id for record in pending])
        if kind is SignalKind.LOG:
            for record in pending:
                (scope,) = json.loads(record.payload)["scopeLogs"]
                records += scope["logRecords"]
    return records


def names(records: list[dict[str, Any]]) -> list[str]:
    return [record["eventName"] for record in records]


def test_a_finding_comes_back_as_it_was_recorded(registry: Registry, build: Any) -> None:
    finding = build.finding()
    registry.record(build.report(finding), build.run(), T0)
    expected = replace(finding, first_seen_ns=build.run().start_ns, last_seen_ns=build.run().end_ns)
    assert registry.finding(finding.fingerprint) == expected
    assert registry.findings() == [expected]


def test_the_same_report_again_changes_nothing_visible(registry: Registry, build: Any) -> None:
    report = build.report(build.finding(), build.finding("other", range(7, 20)))
    first = registry.record(report, build.run(), T0)
    known = registry.findings()
    assert names(emitted(registry)).count("halo.finding") == 2
    assert len(first) == 2
    for number in range(1, 5):
        assert registry.record(report, build.run(number), T0 + number * HOUR) == []
    assert registry.findings() == known
    assert emitted(registry) == []
    assert len(registry.runs()) == 5


def test_a_life_from_new_to_regressed(registry: Registry, build: Any) -> None:
    finding = build.finding()
    key = finding.fingerprint

    def run(number: int, *findings: Finding, exposed: int = 0) -> list[Status]:
        steps = registry.record(
            build.report(*findings), build.run(number), T0 + number * NS_PER_S, {key: exposed}
        )
        return [step.after for step in steps]

    assert run(0, finding) == [Status.NEW]
    for number in (1, 2):
        assert run(number, build.finding(traces=range(number * 5, number * 5 + 5))) == []
    assert run(3, build.finding(traces=range(15, 20))) == [Status.ONGOING]
    assert registry.finding(key).windows_seen == 4
    assert run(4) == []  # silence
    assert run(5, build.finding(traces=range(15, 20)), exposed=5) == []  # 2.5 expected, none new
    assert run(6, exposed=1) == [Status.RESOLVED]  # 3.0 expected
    assert run(7, build.finding(traces=range(15, 20))) == []  # still in the lookback
    assert registry.findings(Query(statuses=UNRESOLVED)) == []
    assert run(8, build.finding(traces=range(18, 23))) == [Status.REGRESSED]
    path = [(step.before, step.after) for step in registry.transitions()]
    assert path == [
        (None, Status.NEW),
        (Status.NEW, Status.ONGOING),
        (Status.ONGOING, Status.RESOLVED),
        (Status.RESOLVED, Status.REGRESSED),
    ]
    told = [r for r in emitted(registry) if r["eventName"] == "halo.finding"]
    assert [r["body"]["stringValue"].split("]")[0] for r in told] == [
        "[new",
        "[resolved",
        "[regressed",
    ]
    assert [r["severityText"] for r in told] == ["WARN", "INFO", "WARN"]


runs = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(0, 20)), min_size=1, max_size=12
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(runs)
def test_any_sequence_of_runs_is_one_consistent_history(
    open_registry: Callable[..., Registry], build: Any, happenings: list[tuple[int, int, int]]
) -> None:
    """Each run: traces `first .. first + count` affected, and a number of exposed traces."""
    name = f"loop{id(happenings)}{hash(tuple(happenings))}"
    registry = open_registry(replica=name)  # its runs are no others
    key = build.finding(name).fingerprint
    seen: set[str] = set()
    sightings = 0
    steps = []
    for number, (first, count, exposed) in enumerate(happenings):
        found = [build.finding(name, range(first, first + count))] if count else []
        new = {trace for finding in found for trace in finding.traces} - seen
        seen |= new
        sightings += bool(new)
        steps += registry.record(
            build.report(*found), build.run(number), T0 + number, {key: exposed}
        )
    mine = [step for step in registry.transitions(limit=100_000) if step.fingerprint == key]
    assert mine == steps
    before = None
    for step in mine:
        assert step.before is before
        before = step.after
    if seen:
        finding = registry.finding(key)
        assert finding.status is before
        assert set(finding.traces) == seen
        assert finding.windows_seen == sightings
    registry.close()


def test_an_open_finding_is_told_again_only_after_the_interval_and_when_seen(
    open_registry: Callable[..., Registry], build: Any
) -> None:
    registry = open_registry(repeat_interval=3600)
    registry.record(build.report(build.finding(evidence=())), build.run(), T0)
    assert names(emitted(registry)) == ["halo.finding"]
    for number in range(1, 12):
        finding = build.finding(traces=range(number, number + 5), evidence=())
        registry.record(build.report(finding), build.run(number), T0 + number * HOUR // 12)
        assert emitted(registry) == []
    unseen = build.finding(traces=range(11, 16), evidence=())
    registry.record(build.report(unseen), build.run(12), T0 + 2 * HOUR)
    assert emitted(registry) == []
    registry.record(
        build.report(build.finding(traces=range(20, 25), evidence=())), build.run(13), T0 + 2 * HOUR
    )
    assert names(emitted(registry)) == ["halo.finding"]


def test_each_evidence_span_is_told_once_ever(
    open_registry: Callable[..., Registry], build: Any
) -> None:
    registry = open_registry(max_occurrences=4)
    evidence = [build.evidence(number) for number in range(6)]
    contrast = build.evidence(9, role=Role.CONTRAST)
    finding = build.finding(evidence=(*evidence, contrast, evidence[0]))
    told = []
    for number in range(3):
        registry.record(build.report(finding), build.run(number), T0 + number)
        told.append(
            [r["spanId"] for r in emitted(registry) if r["eventName"] == "halo.finding.occurrence"]
        )
    ids = [span.span_id for span in evidence]
    assert told == [ids[:4], ids[4:], []]
    registry.close()
    registry.open()
    registry.record(build.report(finding), build.run(4), T0 + 4)
    assert emitted(registry) == []


def test_muted_is_silent_and_counts(registry: Registry, build: Any) -> None:
    finding = build.finding()
    key = finding.fingerprint
    registry.record(build.report(finding), build.run(), T0)
    emitted(registry)
    assert registry.mute(key, T0 + HOUR, "known\n\x1b[31m", T0).status is Status.MUTED
    later = build.finding(traces=range(5, 10))
    registry.record(build.report(later), build.run(1), T0 + HOUR - 1)
    assert emitted(registry) == []
    assert registry.finding(key).windows_seen == 2
    registry.record(build.report(), build.run(2), T0 + HOUR)
    assert registry.finding(key).status is Status.NEW
    assert [(s.before, s.after) for s in registry.transitions()][1:] == [
        (Status.NEW, Status.MUTED),
        (Status.MUTED, Status.NEW),
    ]
    assert [s.reason for s in registry.transitions()] == ["", "known [31m", ""]
    # Evidence of the silent time is past news, what comes now is not.
    registry.record(build.report(later), build.run(3), T0 + HOUR)
    assert emitted(registry) == []
    registry.record(build.report(build.finding(traces=range(10, 15))), build.run(4), T0 + HOUR)
    assert sorted(names(emitted(registry))) == ["halo.finding"] + ["halo.finding.occurrence"] * 3


def test_a_mute_for_good_ends_only_by_hand(registry: Registry, build: Any) -> None:
    key = build.finding().fingerprint
    registry.record(build.report(build.finding()), build.run(), T0)
    registry.mute(key, None, "", T0)
    century = T0 + 100 * 365 * 24 * HOUR
    registry.record(build.report(), build.run(1), century, {key: 1000})
    assert registry.finding(key).status is Status.MUTED
    assert registry.unmute(key, century).status is Status.RESOLVED
    with pytest.raises(NotFound, match="halo-otel findings"):
        registry.mute("fpv1:nobody", None, "", T0)
    with pytest.raises(NotFound):
        registry.finding("' OR 1=1 --")


def test_queries(registry: Registry, build: Any) -> None:
    first = build.finding("a", priority=1.0)
    second = build.finding("b", priority=3.0, severity=Severity.ERROR, category="error")
    third = build.finding("c", priority=2.0, subject=replace(first.subject, service="other%"))
    registry.record(build.report(first, second, third), build.run(), T0)
    registry.mute(third.fingerprint, None, "", T0)

    def found(**parts: Any) -> list[str]:
        return [finding.detector for finding in registry.findings(Query(**parts))]

    assert found() == ["b", "c", "a"]
    assert found(limit=1) == ["b"]
    assert found(severity=Severity.ERROR) == found(category="error") == ["b"]
    assert found(service="other%") == found(statuses=(Status.MUTED,)) == ["c"]
    assert found(service="other_") == []
    assert found(fingerprint_prefix=first.fingerprint[:12]) == ["a"]
    assert found(fingerprint_prefix="%") == []


def test_replicas_share_one_finding_and_one_outbox(
    open_registry: Callable[..., Registry], build: Any
) -> None:
    replicas = [open_registry(f"replica-{number}") for number in range(4)]

    def record(number: int) -> None:
        for turn in range(5):
            traces = range(number * 100 + turn, number * 100 + turn + 5)
            replicas[number].record(build.report(build.finding(traces=traces)), build.run(turn), T0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(4)))
    (finding,) = replicas[0].findings()
    assert finding.windows_seen == 20
    assert len(finding.traces) == 4 * 9
    seqs = [step.seq for step in replicas[1].transitions()]
    assert seqs == sorted(set(seqs))
    claimed = [
        record.record_id
        for replica in replicas
        for record in replica.pending(SignalKind.LOG, 1000, T0, 60)
    ]
    assert len(claimed) == len(set(claimed)) > 0


def test_a_claim_is_a_lease(registry: Registry, build: Any) -> None:
    registry.record(build.report(build.finding()), build.run(), T0)
    records = registry.pending(SignalKind.LOG, 100, T0, 60)
    assert records[0].attempts == 0
    assert registry.pending(SignalKind.LOG, 100, T0 + 60 * NS_PER_S - 1, 60) == []
    registry.mark_failed([records[0].record_id], T0 + 5 * NS_PER_S)
    (failed,) = registry.pending(SignalKind.LOG, 100, T0 + 5 * NS_PER_S, 60)
    assert (failed.record_id, failed.attempts) == (records[0].record_id, 1)
    size = registry.outbox_size()
    registry.mark_emitted([record.record_id for record in records])
    assert registry.outbox_size() == size - len(records)
    registry.mark_emitted([record.record_id for record in records])


def test_a_full_outbox_drops_repeats_first_and_transitions_last(
    open_registry: Callable[..., Registry], counters: Counters, build: Any
) -> None:
    registry = open_registry(max_outbox=100, repeat_interval=0.000001)
    many = [build.finding(f"d{number}", evidence=()) for number in range(60)]
    registry.record(build.report(*many, judged=0), build.run(), T0)  # 60 transitions, 1 span
    again = [build.finding(f"d{number}", range(5, 10), evidence=()) for number in range(39)]
    registry.record(build.report(*again, judged=0), build.run(1), T0 + 10**9)  # 39 repeats
    assert registry.outbox_size() == 100
    more = [build.finding(f"e{number}", evidence=()) for number in range(20)]
    registry.record(build.report(*more, judged=0), build.run(2), T0 + 2 * 10**9)
    assert registry.outbox_size() == 100
    assert counters.value("halo.emitter.dropped_records", reason="outbox_full") == 21
    told = Counter(
        pair["value"]["intValue"]
        for record in emitted(registry)
        for pair in record["attributes"]
        if pair["key"] == "halo.finding.windows_seen"
    )
    assert told == {"1": 80, "2": 39 - 21}


def test_a_waiting_repeat_is_replaced_by_the_next(
    open_registry: Callable[..., Registry], build: Any
) -> None:
    registry = open_registry(repeat_interval=1)
    for number in range(10):
        finding = build.finding(traces=range(number, number + 5), evidence=())
        registry.record(build.report(finding, judged=0), build.run(number), T0 + number * HOUR)
    told = [r["body"]["stringValue"].split("]")[0] for r in emitted(registry)]
    assert told == ["[new", "[ongoing"]


def test_what_the_telemetry_lacks_is_told_once(
    open_registry: Callable[..., Registry], build: Any
) -> None:
    registry = open_registry(repeat_interval=1)
    for number in range(10):
        traces = range(number, number + 5)
        finding = build.finding(traces=traces, category="instrumentation")
        registry.record(build.report(finding, judged=0), build.run(number), T0 + number * HOUR)
    assert [r["body"]["stringValue"].split("]")[0] for r in emitted(registry)] == ["[new"]


def test_history_is_forgotten_after_its_time(registry: Registry, build: Any) -> None:
    muted = build.finding("muted")
    registry.record(build.report(build.finding(), muted), build.run(), T0)
    registry.mute(muted.fingerprint, None, "", T0)
    month = 31 * 24 * HOUR
    registry.record(build.report(), build.run(1), T0 + month)
    assert len(registry.runs()) == 1
    assert registry.transitions() == []
    assert len(registry.findings()) == 2
    registry.record(build.report(), build.run(1), T0 + 3 * month)
    assert [finding.detector for finding in registry.findings()] == ["muted"]
    # What is forgotten is new when it comes again, and numbers are not given out twice.
    (step,) = registry.record(build.report(build.finding()), build.run(2), T0 + 3 * month)
    assert (step.before, step.after) == (None, Status.NEW)
    assert step.seq == 4


def test_a_year_of_ever_new_findings_is_bounded(
    database_url: str, counters: Counters, build: Any
) -> None:
    most, new, day = 5, 8, 24 * HOUR
    settings = sections.Registry(max_findings=most, history=7 * 86_400)
    registry = Registry(database_url, Emit(max_outbox=100), counters, settings=settings)
    store = Store(database_url)
    with closing(registry), closing(store):
        registry.open()
        store.open()
        for_good = build.finding("for good")
        registry.record(build.report(for_good), build.run(), T0)
        registry.mute(for_good.fingerprint, None, "", T0)
        counts = sa.select(
            *(
                sa.select(sa.func.count()).select_from(table).scalar_subquery().label(table.name)
                for table in METADATA.sorted_tables
            )
        )
        sizes = []
        for number in range(1, 74):
            at_ns = T0 + number * 5 * day
            names = range(new * number, new * number + new)
            found = [build.finding(f"d{name}", range(name, name + 5)) for name in names]
            registry.record(build.report(*found), build.run(number), at_ns)
            registry.record_baselines(
                [
                    Baseline(window_start_ns=at_ns, service=f"s{n}", traces=1, spans=1, errors=0)
                    for n in names
                ]
            )
            with store.reading() as connection:
                sizes.append(dict(connection.execute(counts).one()._mapping))
        assert for_good.fingerprint in {one.fingerprint for one in registry.findings()}
    for size in sizes[5:]:
        assert size == sizes[5]
    assert sizes[-1]["findings"] == most
    assert sizes[-1]["transitions"] == 2 * new  # of a week
    assert sizes[-1]["outbox"] == 100


def test_more_steps_and_runs_than_fit_are_forgotten_before_their_time(
    database_url: str, counters: Counters, build: Any
) -> None:
    settings = sections.Registry(max_findings=1)
    with closing(Registry(database_url, None, counters, settings=settings)) as registry:
        registry.open()
        for number in range(40):
            found = [build.finding()] if number == 0 else []
            registry.record(build.report(*found), build.run(number), T0 + number)
            key = build.finding().fingerprint
            (registry.mute if number % 2 else registry.unmute)(key, *_by_hand(number))
        registry.record(build.report(), build.run(99), T0 + 99)
        assert [step.seq for step in registry.transitions()] == list(range(31, 41))
        assert [run.run_id for run in registry.runs()] == list(range(41, 31, -1))


def _by_hand(number: int) -> tuple[Any, ...]:
    return (None, "", T0 + number) if number % 2 else (T0 + number,)


def test_baselines_are_replaced_per_replica_and_summed(
    open_registry: Callable[..., Registry],
) -> None:
    one, two = open_registry("one"), open_registry("two")
    row = Baseline(window_start_ns=T0, service="booking", traces=10, spans=100, errors=3)
    later = replace(row, window_start_ns=T0 + HOUR, service="other")
    one.record_baselines([row, later])
    one.record_baselines([replace(row, errors=4)])
    two.record_baselines([row])
    total = replace(row, traces=20, spans=200, errors=7)
    assert one.baselines(T0) == [total, later]
    assert one.baselines(T0, "booking") == [total]
    assert two.baselines(T0 + 1) == [later]


def test_the_gauge_counts_open_findings(registry: Registry, counters: Counters, build: Any) -> None:
    first, second = build.finding("a"), build.finding("b")
    registry.record(build.report(first, second), build.run(), T0)
    attributes = {"category": "loop", "severity": "warn", "service": "booking"}
    assert counters.value("halo.findings.open", **attributes) == 2
    registry.mute(first.fingerprint, None, "", T0)
    assert counters.value("halo.findings.open", **attributes) == 1
    registry.record(build.report(), build.run(1), T0, {second.fingerprint: 100})
    assert counters.value("halo.findings.open", **attributes) == 0


def test_ten_thousand_traces(registry: Registry, build: Any) -> None:
    finding = build.finding(
        traces=range(10_000), impact=Impact(traces_affected=10_000, traces_exposed=20_000)
    )
    registry.record(build.report(finding), build.run(), T0)
    assert registry.record(build.report(finding), build.run(1), T0 + 1) == []
    known = registry.finding(finding.fingerprint)
    assert set(known.traces) == set(finding.traces)
    assert known.windows_seen == 1
    longest = max(
        len(r.payload) for kind in SignalKind for r in registry.pending(kind, 1000, T0 + 1, 1)
    )
    assert longest < 64 * 1024


def test_names_no_database_likes(registry: Registry, build: Any) -> None:
    name = "nul \x00 surrogate \ud800 quote ' " + "ü" * 1000
    finding = build.finding(
        title=name,
        summary=name,
        subject=Subject(service=name, agent=name, attributes={name[:9]: name}),
        evidence=(build.evidence(0, note=name, resource={name[:9]: name, "service.name": name}),),
    )
    registry.record(build.report(finding), build.run(), T0)
    assert len(registry.findings(Query(service=name))) == 1
    baseline = Baseline(window_start_ns=T0, service=name, traces=1, spans=2, errors=0)
    registry.record_baselines([baseline])
    assert len(registry.baselines(T0, name)) == 1


def test_remembered_evidence_is_bounded(
    registry: Registry, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_module, "EVIDENCE_MAX", 6)
    for number in range(4):
        finding = build.finding(traces=range(3 * number, 3 * number + 3))
        registry.record(build.report(finding), build.run(number), T0 + number)
        told = names(emitted(registry)).count("halo.finding.occurrence")
        assert told == 3
    remembered = build.finding(traces=range(6, 12), evidence=finding.evidence)
    registry.record(build.report(remembered), build.run(4), T0 + 4)
    assert names(emitted(registry)) == []
    registry.record(build.report(build.finding(traces=range(3))), build.run(5), T0 + 5)
    assert names(emitted(registry)) == ["halo.finding.occurrence"] * 3  # forgotten by then


def test_without_an_emitter_the_outbox_stays_empty(
    database_url: str, counters: Counters, build: Any
) -> None:
    silent = Registry(database_url, None, counters)
    silent.open()
    assert silent.record(build.report(build.finding()), build.run(), T0)
    assert silent.outbox_size() == 0
    assert len(silent.findings()) == 1
    silent.close()
