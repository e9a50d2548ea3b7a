"""Stale data: acting on what somebody in the run knows to be old, and looking again in time."""

import json

from halo_otel.model.finding import Finding, Role, Severity
from tests.analysis.conftest import Traffic, findings_in, one_each
from tests.analysis.team_runs import TeamRun, team

ORDER = {"order_id": "W4711"}


def order(version: object, **fields: object) -> str:
    return json.dumps({"order_id": "W4711", "version": version, **fields})


def healthy(traffic: Traffic, count: int = 20) -> None:
    """Each agent looks before it acts, and what it sees grows."""
    for _ in range(count):
        run = team(traffic)
        with run.working("buyer"):
            run.call("get_order", ORDER, order(1))
        with run.working("packer"):
            run.call("get_order", ORDER, order(2)).call(
                "update_order", {**ORDER, "state": "packed"}, order(3)
            )


def stale(traffic: Traffic) -> list[Finding]:
    return findings_in(traffic, "stale_data")


def reads_old(run: TeamRun, old: object = 3, new: object = 7) -> None:
    with run.working("buyer"):
        run.call("get_order", ORDER, order(new))
    with run.working("packer"):
        run.call("get_order", ORDER, order(old)).call(
            "update_order", {**ORDER, "state": "packed"}, "ok"
        )


OLD_AND_NEW: tuple[tuple[object, object], ...] = (
    (3, 7),
    ("v3", "v12"),
    ("2026-01-02T10:00:00Z", "2026-01-02T11:00:00+00:00"),
)


def test_reading_an_older_version_than_another_agent_saw(traffic: Traffic) -> None:
    for old, new in traffic.each(OLD_AND_NEW):
        healthy(traffic)
        for _ in range(6):
            reads_old(team(traffic), old, new)
    for versions, found in one_each(traffic, stale(traffic)):
        assert (found.subject.agent, found.subject.tool, found.impact.traces_affected) == (
            "packer",
            "get_order",
            6,
        ), versions
        assert found.severity is not Severity.INFO
        roles = [e.role for e in found.evidence[:3]]
        assert roles == [Role.CAUSE, Role.SYMPTOM, Role.CONTRAST]


def test_an_etag_that_comes_back_after_a_newer_one_is_old(traffic: Traffic) -> None:
    healthy(traffic)
    for _ in range(6):
        run = team(traffic)
        with run.working("buyer"):
            run.call("get_order", ORDER, '{"etag": "aa-x"}').call(
                "get_order", ORDER, '{"etag": "zz-x"}'
            )
        with run.working("packer"):
            run.call("get_order", ORDER, '{"etag": "aa-x"}')
    (found,) = stale(traffic)
    assert found.subject.agent == "packer"


def test_acting_on_what_another_agent_has_seen_newer(traffic: Traffic) -> None:
    healthy(traffic)
    for _ in range(6):
        run = team(traffic)
        with run.working("packer"):
            run.call("get_order", ORDER, order(3))
        with run.working("buyer"):
            run.call("get_order", ORDER, order(4))
        with run.working("packer"):
            run.call("update_order", {**ORDER, "state": "packed"}, "ok")
    (found,) = stale(traffic)
    assert (found.subject.agent, found.subject.tool) == ("packer", "update_order")


def test_who_was_told_of_the_newer_state_does_not_act_on_the_old(traffic: Traffic) -> None:
    healthy(traffic)
    for _ in range(6):
        run = team(traffic)
        new = order(4, state="paid", total=12, customer="Ada")
        with run.working("packer"):
            run.call("get_order", ORDER, order(3))
        with run.working("buyer"):
            run.call("get_order", ORDER, new)
        with run.working("packer"):
            run.asked(json.dumps([{"role": "user", "content": new}]))
            run.tool("update_order", {**ORDER, "state": "packed"}, "ok")
    assert not stale(traffic)


def test_a_cache_that_is_refreshed_before_use_is_not_stale(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        with run.working("buyer"):
            run.call("get_order", ORDER, order(7))
        with run.working("packer"):
            run.call("get_order", ORDER, order(3)).call("get_order", ORDER, order(7))
            run.call("update_order", {**ORDER, "state": "packed"}, order(8))
    assert not stale(traffic)


def test_polling_until_the_replica_has_caught_up_is_not_stale(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        run.call("update_order", {**ORDER, "state": "paid"}, order(5))
        for version in (4, 4, 5):
            run.call("get_order", ORDER, order(version))
    assert not stale(traffic)


def test_asking_for_an_old_version_gives_an_old_version(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        run.call("get_order", ORDER, order(5))
        with run.working("packer"):
            run.call("get_order", {**ORDER, "version": 2}, order(2))
    assert not stale(traffic)


def test_after_a_rollback_the_old_version_is_the_current_one(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        run.call("get_order", ORDER, order(5))
        run.call("rollback_order", ORDER, order(4))
        with run.working("packer"):
            run.call("get_order", ORDER, order(4))
    assert not stale(traffic)


def test_versions_of_different_things_are_not_compared(traffic: Traffic) -> None:
    for number in range(20):
        run = team(traffic)
        run.call("get_order", ORDER, order(5))
        with run.working("packer"):
            run.call("get_order", {"order_id": f"W{number}"}, order(2)).call(
                "get_shipment", ORDER, order(1)
            )
    assert not stale(traffic)


def test_several_versions_in_one_answer_tell_nothing(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        run.call("get_order", ORDER, f"[{order(5)}, {order(6)}]")
        with run.working("packer"):
            run.call("get_order", ORDER, order(2)).call(
                "get_order", ORDER, f"[{order(1)}, {order(2)}]"
            )
    assert not stale(traffic)


def test_clocks_of_two_services_may_differ_by_two_seconds(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        run.call("get_order", ORDER, order(5))
        run.rows[-1]["service"] = "elsewhere"
        with run.working("packer"):
            run.tool("get_order", ORDER, order(4))
    assert not stale(traffic)


def still_old(run: TeamRun, answer: str = "ok", after: str = "open") -> None:
    """Written and then read again: the field `state` is as before."""
    with run.working("buyer"):
        run.call("get_order", ORDER, json.dumps({"state": "open", "total": 3}))
        run.call("update_order", {**ORDER, "state": "paid"}, answer)
    with run.working("packer"):
        run.call("get_order", ORDER, json.dumps({"state": after, "total": 3}))


def test_without_versions_the_old_value_after_a_change_is_stale(traffic: Traffic) -> None:
    healthy(traffic)
    for _ in range(6):
        still_old(team(traffic))
    (found,) = stale(traffic)
    assert found.subject.agent == "packer"


def test_a_value_that_changed_or_will_later_is_not_stale(traffic: Traffic) -> None:
    for answer, after in traffic.each([("ok", "paid"), ("queued", "open"), ("ok", "cancelled")]):
        for _ in range(20):
            still_old(team(traffic), answer, after)
    assert not stale(traffic)


def test_value_only_evidence_of_two_traces_is_no_finding(traffic: Traffic) -> None:
    healthy(traffic, 10)
    for _ in range(2):
        still_old(team(traffic))
    assert not stale(traffic)
