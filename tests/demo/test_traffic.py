"""What generated traffic promises: repeatable, well-formed, normal where nothing is planted."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S
from halo_otel.demo.applications import APPLICATIONS
from halo_otel.demo.dialects import Dialect
from halo_otel.demo.faults import CATEGORY, Fault, FaultKind
from halo_otel.demo.traffic import Traffic, generate
from halo_otel.model.finding import CATEGORIES
from halo_otel.model.span import STATUS_ERROR, Span
from halo_otel.otlp.decode import decode_traces
from halo_otel.otlp.encode import requests

START_NS = 1_790_000_000 * NS_PER_S
DURATION_NS = 600 * NS_PER_S


def by_trace(traffic: Traffic) -> Mapping[str, list[Span]]:
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in traffic.spans:
        traces[span.trace_id].append(span)
    return traces


def test_the_same_seed_gives_the_same_bytes(clean: Traffic) -> None:
    again = generate(seed=1, runs=60, start_ns=START_NS, duration_ns=DURATION_NS)
    assert again == clean
    assert list(requests(again.spans)) == list(requests(clean.spans))


def test_another_seed_gives_other_traces(clean: Traffic) -> None:
    other = generate(seed=9, runs=60, start_ns=START_NS, duration_ns=DURATION_NS)
    assert not set(other.trace_ids) & set(clean.trace_ids)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(FaultKind),
    dialect=st.sampled_from(Dialect),
    payloads=st.booleans(),
)
def test_every_trace_is_a_tree_in_end_time_order(
    seed: int, kind: FaultKind, dialect: Dialect, payloads: bool
) -> None:
    faults = [
        Fault(kind=kind, service=one.service, agent=agent, tool=tool, rate=0.5)
        for one in APPLICATIONS
        for agent, tool in one.targets[kind]
    ]
    traffic = generate(
        seed=seed,
        runs=6,
        start_ns=START_NS,
        duration_ns=DURATION_NS,
        dialects={one.service: dialect for one in APPLICATIONS},
        faults=faults,
        payloads=payloads,
    )
    ends = [span.end_ns for span in traffic.spans]
    assert ends == sorted(ends)
    assert len({(span.trace_id, span.span_id) for span in traffic.spans}) == len(traffic.spans)
    traces = by_trace(traffic)
    assert set(traces) == set(traffic.trace_ids)
    for spans in traces.values():
        _check_tree(spans)


def _check_tree(spans: list[Span]) -> None:
    by_id = {span.span_id: span for span in spans}
    [root] = [span for span in spans if not span.parent_span_id]
    assert spans[-1] is root
    assert START_NS <= root.start_ns < START_NS + DURATION_NS
    assert len({id(span.resource) for span in spans}) == 1
    for place, span in enumerate(spans):
        assert span.start_ns <= span.end_ns
        if span is not root:
            parent = by_id[span.parent_span_id]
            assert parent.start_ns <= span.start_ns
            assert span.end_ns <= parent.end_ns
            assert parent in spans[place + 1 :]


def test_requests_hold_every_field_of_every_span(faulty: Traffic) -> None:
    decoded = [span for payload in requests(faulty.spans) for span in decode_traces(payload)]
    by_id = {(span.trace_id, span.span_id): span for span in decoded}
    assert len(by_id) == len(decoded) == len(faulty.spans)
    assert all(by_id[span.trace_id, span.span_id] == span for span in faulty.spans)


def test_requests_are_batches_over_several_resources(clean: Traffic) -> None:
    batches = [list(decode_traces(payload)) for payload in requests(clean.spans)]
    assert all(len(batch) == 512 for batch in batches[:-1])
    assert all(max(a.end_ns for a in b) <= min(c.end_ns for c in d) for b, d in pairwise(batches))
    assert all(len({id(span.resource) for span in batch}) > 2 for batch in batches)


def test_labels_point_at_spans_that_exist(faulty: Traffic) -> None:
    spans = {(str(span.trace_id), str(span.span_id)): span for span in faulty.spans}
    assert all(label.occurrences for label in faulty.labels)
    for label in faulty.labels:
        assert label.category in CATEGORIES
        assert set(label.also) <= set(CATEGORIES)
        assert (label.category, label.also) == CATEGORY[label.fault.kind]
        for occurrence in label.occurrences:
            named = [spans[occurrence.trace_id, one] for one in occurrence.span_ids]
            causes = [spans[occurrence.trace_id, one] for one in occurrence.cause_span_ids]
            assert causes
            services = {span.resource.attributes["service.name"] for span in [*named, *causes]}
            assert services == {label.fault.service}
            assert all(any(tool in _said(span) for tool in label.tools) for span in named)


def _said(span: Span) -> str:
    return f"{span.name} {span.attributes}"


def test_an_error_keeps_its_type_and_varies_its_ids(faulty: Traffic) -> None:
    label = next(one for one in faulty.labels if one.fault.kind is FaultKind.ERROR_SIGNATURE)
    ids = {one.span_ids[0] for one in label.occurrences}
    failed = [span for span in faulty.spans if span.span_id in ids]
    assert all(span.status_code == STATUS_ERROR for span in failed)
    assert len({span.status_message.split(":")[0] for span in failed}) == 1
    assert len({span.status_message for span in failed}) == len(failed)


def test_clean_traffic_has_no_labels_and_few_errors(clean: Traffic) -> None:
    assert clean.labels == ()
    failed = {span.trace_id for span in clean.spans if span.status_code == STATUS_ERROR}
    assert 0 < len(failed) < 0.15 * len(clean.trace_ids)
    roots = [span for span in clean.spans if not span.parent_span_id]
    assert all(root.status_code != STATUS_ERROR for root in roots)


def test_clean_traffic_has_what_naive_rules_take_for_faults(clean: Traffic) -> None:
    calls = Counter(
        (span.trace_id, span.name.removeprefix("execute_tool ")) for span in clean.spans
    )
    repeated = Counter(tool for (_, tool), count in calls.items() if count >= 3)
    for tool in (
        "get_booking_status",  # identical polls that resolve
        "get_build_status",  # polling with progress
        "get_refund_status",
        "list_hotels",  # pagination
        "list_invoices",
        "read_file",  # a batch
        "run_tests",  # edit-test cycles
        "search_flights",  # different searches, all in vain
        "knowledge_base",
    ):
        assert repeated[tool] or repeated[f"retrieval {tool}"], tool
    runs = len(clean.trace_ids) / len(APPLICATIONS)
    for heartbeat in ("keep_session_alive", "check_cancelled", "check_handoff_request"):
        assert repeated[heartbeat] > 0.5 * runs, heartbeat


def test_people_ask_the_same_in_different_sessions(clean: Traffic) -> None:
    sessions: dict[object, set[object]] = defaultdict(set)
    for span in clean.spans:
        if span.attributes.get("agent.name") == "concierge":
            sessions[span.attributes["input.value"]].add(span.attributes["session.id"])
    assert any(len(who) > 1 for who in sessions.values())


def test_each_service_runs_in_replicas_and_versions(clean: Traffic) -> None:
    for one in APPLICATIONS:
        resources = [
            span.resource.attributes
            for span in clean.spans
            if span.resource.attributes["service.name"] == one.service
        ]
        assert {r["service.version"] for r in resources} == set(one.versions)
        assert len({r["k8s.pod.name"] for r in resources}) == 2


@pytest.mark.parametrize("dialect", Dialect)
def test_without_payloads_nothing_that_was_said_is_recorded(dialect: Dialect) -> None:
    traffic = generate(
        seed=3,
        runs=20,
        start_ns=START_NS,
        duration_ns=DURATION_NS,
        dialects={one.service: dialect for one in APPLICATIONS},
        payloads=False,
    )
    said = "".join(f"{span.attributes} {span.events}" for span in traffic.spans)
    for text in ("Book me a flight", "Lisbon", "src/", "My kettle", "customer_id", "offers"):
        assert text not in said
    assert "tokens" in said or "token_count" in said
