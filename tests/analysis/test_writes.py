"""Conflicting writes and lost updates, and agents that change one thing in good order."""

import json

from halo_otel.model.finding import Finding, Role, Severity
from tests.analysis.conftest import Traffic, apart, findings_in
from tests.analysis.team_runs import TeamRun, team

DOC = {"doc_id": "D7"}


def clashes(traffic: Traffic) -> list[Finding]:
    return findings_in(traffic, "conflicting_write")


def ordered(traffic: Traffic, count: int = 20) -> None:
    """One after the other, and the second looks first."""
    for _ in range(count):
        run = team(traffic)
        with run.working("writer"):
            run.call("get_doc", DOC, "{}").call("update_doc", {**DOC, "title": "A"}, "ok")
        with run.working("editor"):
            run.call("get_doc", DOC, '{"title": "A"}').call(
                "update_doc", {**DOC, "title": "B"}, "ok"
            )


def at_once(
    run: TeamRun, first: object = "A", last: object = "B", *, key: str = "D7", field: str = "title"
) -> None:
    """Two agents work side by side and write."""
    with run.at(1_000).working("writer"):
        run.call("update_doc", {**DOC, "title": first}, "ok")
    with run.at(1_200).working("editor"):
        run.call("update_doc", {"doc_id": key, field: last}, "ok")


def test_two_agents_that_write_different_values_at_once(traffic: Traffic) -> None:
    ordered(traffic)
    for _ in range(6):
        at_once(team(traffic))
    (found,) = clashes(traffic)
    assert (found.detector, found.subject.agent, found.impact.traces_affected) == (
        "conflicting_write",
        "editor",
        6,
    )
    assert [e.role for e in found.evidence[:2]] == [Role.CAUSE, Role.CONTRAST]
    assert found.severity is not Severity.INFO
    assert '"A"' in found.summary
    assert '"B"' in found.summary


def affected(traffic: Traffic, found: list[Finding]) -> list[tuple[int, int]]:
    """Of each case, whose last member says so, how many traces are to be affected and how many are."""
    return [
        (case[-1], sum(one.impact.traces_affected for one in told))
        for case, told in apart(traffic, found)
    ]


def test_the_same_value_another_thing_or_another_field_is_no_conflict(traffic: Traffic) -> None:
    options: list[dict[str, str]] = [{"last": "A"}, {"key": "D8"}, {"field": "body"}]
    for option in traffic.each(options):
        for _ in range(20):
            at_once(team(traffic), **option)
    assert not clashes(traffic)


def test_a_general_setter_conflicts_only_about_one_field(traffic: Traffic) -> None:
    for other, _ in traffic.each([("title", 6), ("body", 0)]):
        ordered(traffic)
        for _ in range(6):
            run = team(traffic)
            with run.at(1_000).working("writer"):
                run.call("set_field", {**DOC, "field": "title", "value": "A"}, "ok")
            with run.at(1_200).working("editor"):
                run.call("set_field", {**DOC, "field": other, "value": "B"}, "ok")
    for count, told in affected(traffic, clashes(traffic)):
        assert told == count


def test_looking_before_writing_is_no_conflict(traffic: Traffic) -> None:
    ordered(traffic, 30)
    assert not clashes(traffic)


def test_a_state_that_moves_on_from_agent_to_agent_is_no_conflict(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        for agent, state in (("picker", "picked"), ("packer", "packed"), ("driver", "sent")):
            with run.working(agent):
                run.call("set_state", {**DOC, "state": state}, "ok")
    assert not clashes(traffic)


def test_a_refused_write_is_no_conflict(traffic: Traffic) -> None:
    for _ in range(20):
        run = team(traffic)
        with run.at(1_000).working("writer"):
            run.call("update_doc", {**DOC, "title": "A"}, "ok")
        with run.at(1_200).working("editor"):
            run.call(
                "update_doc", {**DOC, "title": "B"}, None, error="409 conflict: version changed"
            )
    assert not clashes(traffic)


def loses(
    run: TeamRun, *, again: bool = False, versions: bool = True, prompt: str | None = None
) -> None:
    """Both look, one writes, then the other one does."""
    seen = json.dumps({"version": 1}) if versions else "{}"
    with run.working("writer"):
        run.call("get_doc", DOC, seen)
    with run.working("editor"):
        run.call("get_doc", DOC, seen)
    with run.working("writer"):
        run.call(
            "update_doc",
            {**DOC, "title": "Apples"},
            json.dumps({"version": 2}) if versions else "ok",
        )
    run.wait(30_000)
    with run.working("editor"):
        if again:
            run.call("get_doc", DOC, json.dumps({"version": 2}))
        run.asked(prompt).tool(
            "update_doc",
            {**DOC, "title": "Pears"},
            json.dumps({"version": 3}) if versions else "ok",
        )


def test_a_write_that_builds_on_an_old_version_loses_an_update(traffic: Traffic) -> None:
    ordered(traffic)
    for _ in range(6):
        loses(team(traffic))
    (found,) = clashes(traffic)
    assert (found.detector, found.subject.agent, found.subject.tool) == (
        "lost_update",
        "editor",
        "update_doc",
    )
    assert [e.role for e in found.evidence[:3]] == [Role.CAUSE, Role.CONTRAST, Role.SYMPTOM]
    assert not findings_in(traffic, "stale_data")


def test_reading_again_before_writing_loses_nothing(traffic: Traffic) -> None:
    for _ in range(20):
        loses(team(traffic), again=True)
    assert not clashes(traffic)


def test_without_versions_a_prompt_that_does_not_tell_of_the_change_is_evidence(
    traffic: Traffic,
) -> None:
    ordered(traffic)
    for _ in range(6):
        loses(team(traffic), versions=False, prompt="Please improve the title of D7.")
    (found,) = clashes(traffic)
    assert found.detector == "lost_update"


def test_without_versions_who_was_told_or_may_have_been_is_not_blamed(traffic: Traffic) -> None:
    told = "The writer has set the title of D7 to Apples. Pears are better."
    for prompt in traffic.each([None, told]):
        for _ in range(20):
            loses(team(traffic), versions=False, prompt=prompt)
    assert not clashes(traffic)


def test_a_stated_base_version_decides(traffic: Traffic) -> None:
    ordered(traffic)
    for base in (1, 2):
        for _ in range(6):
            run = team(traffic)
            with run.working("writer"):
                run.call("get_doc", DOC, '{"version": 1}')
                run.call("update_doc", {**DOC, "title": "A"}, '{"version": 2}')
            with run.working("editor"):
                run.call("update_doc", {**DOC, "title": "B", "expected_version": base}, "ok")
    (found,) = clashes(traffic)
    assert (found.detector, found.impact.traces_affected) == ("lost_update", 6)


VERSIONS = (
    (4, None, 6),  # the same version twice
    (5, None, 0),  # the next version
    (4, 4, 0),  # a version that other things have, too
)


def test_two_changes_that_make_the_same_version(traffic: Traffic) -> None:
    """Neither name of the tool nor a look says so, only the answers."""
    for last, other, _ in traffic.each(VERSIONS):
        for _ in range(6):
            run = team(traffic)
            with run.working("writer"):
                answer = json.dumps({"saved": True, "revision": 4})
                run.asked("begin").tool("polish_doc", {**DOC, "title": "Apples"}, answer)
            with run.working("editor"):
                answer = json.dumps({"saved": True, "revision": last})
                run.asked("go on").tool("polish_doc", {**DOC, "title": "Pears"}, answer)
                if other:
                    answer = json.dumps({"saved": True, "revision": other})
                    run.tool("polish_doc", {"doc_id": "D9", "title": "Plums"}, answer)
    found = [one for one in clashes(traffic) if one.detector == "conflicting_write"]
    for count, told in affected(traffic, found):
        assert told == count


def test_an_answer_confirms_that_something_was_changed(traffic: Traffic) -> None:
    for answer, _ in traffic.each([("1 file changed", 6), ("title: Pears", 0)]):
        ordered(traffic)
        for _ in range(6):
            run = team(traffic)
            with run.at(1_000).working("writer"):
                run.call("polish_doc", {**DOC, "title": "Apples"}, answer)
            with run.at(1_200).working("editor"):
                run.call("polish_doc", {**DOC, "title": "Pears"}, answer)
    for count, told in affected(traffic, clashes(traffic)):
        assert told == count
