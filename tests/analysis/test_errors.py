"""Error signatures: one identity per kind of error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.claims import templates
from halo_otel.analysis.frame import signatures
from halo_otel.model.finding import Role, Severity
from tests.analysis.conftest import Traffic, apart, findings_in, view_of


def failing(traffic: Traffic, texts: list[str], *, outcome: bool | None = False) -> None:
    for number, text in enumerate(texts):
        run = traffic.run(outcome=outcome).call("search", {"q": number}, "x")
        run.call("fetch", {"id": number}, None, error=text)


def test_what_varies_does_not_split_an_error(traffic: Traffic) -> None:
    traffic.healthy(30)
    failing(
        traffic, [f"order ORD-{n}001 of user{n}@shop.com timed out after {n} ms" for n in range(6)]
    )
    (error,) = findings_in(traffic, "error")
    assert error.impact.traces_affected == 6
    assert error.subject.tool == "fetch"
    assert error.severity is Severity.ERROR


def test_different_statuses_are_different_errors(traffic: Traffic) -> None:
    traffic.healthy(30)
    failing(traffic, [f"HTTP {429 if n % 2 else 503} from backend" for n in range(10)])
    assert len(findings_in(traffic, "error")) == 2


def test_the_deepest_failed_span_is_blamed(traffic: Traffic) -> None:
    traffic.healthy(30)
    failing(traffic, ["boom"] * 5)
    (error,) = findings_in(traffic, "error")  # the failed agent spans above are not a second one
    calls = {r["span_id"] for r in traffic.rows if r.get("error_source") and r.get("tool_name")}
    assert error.root_cause is not None
    assert error.root_cause.span_id in calls
    assert {e.span_id for e in error.evidence if e.role is Role.CAUSE} <= calls


def test_a_failure_that_a_retry_made_good_is_only_information(traffic: Traffic) -> None:
    for number in range(60):
        run = traffic.run()
        if number % 10 == 0:
            run.call("fetch", {"id": number}, None, error="connection reset")
        run.call("fetch", {"id": number}, "page").turn()
    assert [f.severity for f in findings_in(traffic, "error")] == [Severity.INFO]


def test_errors_told_only_by_the_result_count_too(traffic: Traffic) -> None:
    traffic.healthy(30)
    for number in range(8):
        run = traffic.run(outcome=None)
        run.call(
            "pay", {"id": number}, "Error: no card", error="Error: no card", source="tool_result"
        )
    (error,) = findings_in(traffic, "error")
    assert error.confidence < 0.96  # inferred from text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET https://a.b/c?d=1 failed", "GET <url> failed"),
        ("no user ada@shop.com", "no user <email>"),
        ("job 550e8400-e29b-41d4-a716-446655440000 gone", "job <uuid> gone"),
        ("expired at 2026-11-20T10:20:00Z", "expired at <date>"),
        ("open /srv/app/x.py failed", "open <path> failed"),
        ("order ORD-123456 unknown", "order <id> unknown"),
        ("card s265 refused", "card <id> refused"),
        ("commit ab12cd34ef99 lost", "commit <hex> lost"),
        ("took 1500 of 30.5 parts", "took <n> of <n> parts"),
        ("field 'name' is missing", "field <str> is missing"),
        ("[Errno 2] gone", "[Errno «2»] gone"),
        ("status code: 404", "status code: «404»"),
        ("ORA-00942: no table", "ORA-«00942»: no table"),
        ("Tool failed with {'a': 1}: TypeError: bad call", "TypeError: bad call"),
        ('{"error": "quota used up", "id": 9}', "quota used up"),
        ("can't open it's file", "can't open it's file"),
    ],
)
def test_masks(text: str, masked: str) -> None:
    with view_of([]) as view:
        signatures.install(view.con)
        row = view.con.execute("select halo_masked(halo_unwrapped($1))", [text]).fetchone()
    assert row == (masked,)


WORDS = st.lists(st.sampled_from(["could", "not", "open", "<n>", "file", "row"]), min_size=1)
TEMPLATES = st.lists(st.tuples(st.sampled_from(["", "A"]), WORDS.map(" ".join)), max_size=12)


@given(TEMPLATES, st.randoms())
def test_merging_does_not_depend_on_the_order(found: list[tuple[str, str]], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert templates.merge(found) == templates.merge(shuffled)


@given(TEMPLATES)
def test_merging_keeps_types_apart_and_names_classes_by_what_they_share(
    found: list[tuple[str, str]],
) -> None:
    merged = templates.merge(found)
    assert set(merged) == set(found)
    for (kind, text), (name_kind, name) in merged.items():
        assert name_kind == kind
        members = [other for (_, other), known in merged.items() if known == (kind, name)]
        assert set(name.split()) <= {*text.split(), templates.ANYTHING}
        if len(members) == 1:
            assert name == text


def test_the_name_of_a_class_outlives_its_members() -> None:
    texts = [f"card of {name} refused by bank" for name in ("ada", "bob", "cyd", "dan", "eve")]
    names = {
        templates.merge([("", text) for text in texts[first : first + 3]])["", texts[first]][1]
        for first in range(3)
    }
    assert names == {"card of <*> refused by bank"}


def test_ids_in_errors_do_not_change_the_fingerprint_as_they_pass() -> None:
    def fingerprints(numbers: range) -> list[str]:
        traffic = Traffic()
        traffic.healthy(30)
        failing(traffic, [f"card s{n} refused: PaymentError code 402" for n in numbers])
        return [finding.fingerprint for finding in findings_in(traffic, "error")]

    first = fingerprints(range(100, 106))
    assert len(first) == 1
    assert fingerprints(range(103, 109)) == first
    assert fingerprints(range(265, 271)) == first


def test_a_shared_wrapper_or_shared_masks_make_no_shared_cause() -> None:
    wrapped = "Error executing query: "
    texts = [
        wrapped + "Unknown database <str>",
        wrapped + "Unknown column <str> in <str>",
        wrapped + "Unknown column <str> in where clause",
        "Unknown table <str>",
        "Unknown view <str>",
    ]
    merged = templates.merge([("", text) for text in texts])
    names = [merged[("", text)][1] for text in texts]
    assert names[1] == names[2]
    assert len(set(names)) == 4


def test_a_fallback_inside_a_call_that_works_made_it_good(traffic: Traffic) -> None:
    for number in range(44):
        run = traffic.run(session=f"s{number}")
        run.call("get_rates", {"day": number}, f"rate {number}", ms=500)
        if number % 11:
            continue
        inner = run._add(
            "GET", "other", parent=str(run.span["span_id"]), ms=1, error_source="status"
        )
        inner |= {
            "error_message": "503 upstream",
            "start_ns": run.span["start_ns"],
            "end_ns": run.span["end_ns"],
        }
    (finding,) = findings_in(traffic, "error")
    assert finding.severity is Severity.INFO


def failing_now_and_then(traffic: Traffic, runs: int, failing: int) -> None:
    """Runs that read; in some one call fails for good, and they end all the same."""
    for number in range(runs):
        run = traffic.run(outcome=None).call("search", {"q": number}, f"found {number}")
        error = "mail server is down" if number < failing else None
        run.call("send_mail", {"to": number}, None if error else f"sent {number}", error=error)
        run.turn()


def test_a_failure_warns_when_more_than_one_run_in_fifty_meets_it(traffic: Traffic) -> None:
    rates = [(100, 3, Severity.INFO), (100, 8, Severity.WARN), (40, 16, Severity.ERROR)]
    for runs, failing, _ in traffic.each(rates):
        failing_now_and_then(traffic, runs, failing)
    for (_, _, severity), found in apart(traffic, findings_in(traffic, "error")):
        assert [f.severity for f in found] == [severity]


def test_a_tool_that_is_seldom_used_and_mostly_fails_warns(traffic: Traffic) -> None:
    traffic.healthy(400)
    failing(traffic, ["no such host"] * 4, outcome=None)
    (error,) = findings_in(traffic, "error")
    assert error.severity is not Severity.INFO


def test_a_finding_about_lasting_failures_leaves_out_the_runs_that_made_it_good(
    traffic: Traffic,
) -> None:
    lasting = []
    for number in range(60):
        run = traffic.run(outcome=None).call("search", {"q": number}, f"found {number}")
        if number % 3 == 0:
            run.call("fetch", {"id": number}, None, error="connection reset")
            lasting += [run.trace_id] if number % 2 else []
        if number % 3 or number % 2 == 0:
            run.call("fetch", {"id": number}, f"page {number}")
        run.turn()
    (error,) = findings_in(traffic, "error")
    assert error.traces == tuple(lasting)
    assert error.impact.traces_affected == len(lasting) == 10
    assert "in 10 more that made it good" in error.summary


def test_what_every_run_makes_good_warns_by_what_it_costs(traffic: Traffic) -> None:
    for steps, _ in traffic.each([(1, Severity.WARN), (40, Severity.INFO)]):
        for number in range(40):
            run = traffic.run(outcome=None)
            run.call("fetch", {"id": number}, None, error="connection reset")
            for step in range(steps):
                run.call("fetch", {"id": f"{number} {step}"}, f"page {number} {step}")
            run.turn()
    for (_, severity), found in apart(traffic, findings_in(traffic, "error")):
        assert [f.severity for f in found] == [severity]


def test_reading_it_in_another_way_makes_it_good(traffic: Traffic) -> None:
    ways = [("find_user_by_name", Severity.INFO), ("get_weather", Severity.WARN)]
    for other, _ in traffic.each(ways):
        for number in range(60):
            run = traffic.run(outcome=None)
            if number < 6:
                run.call("find_user_by_email", {"email": number}, None, error="user not found")
                run.call(other, {"q": number}, f"user {number}")
            else:
                run.call("find_user_by_email", {"email": number}, f"user {number}")
            run.turn()
    for (_, severity), found in apart(traffic, findings_in(traffic, "error")):
        assert [f.severity for f in found] == [severity]


def test_a_frameworks_second_attempt_makes_good_what_failed_in_the_first(traffic: Traffic) -> None:
    for works in traffic.each([True, False]):
        for number in range(60):
            run = traffic.run(outcome=None).call("search", {"q": number}, f"found {number}").turn()
            for attempt in range(2 if number < 6 else 1):
                fails = number < 6 and (attempt == 0 or not works)
                step = run._add("attempt", "chain", ms=0, error_source="status" if fails else None)
                error = "connection reset" if fails else None
                run.child(str(step["span_id"]), "POST", error=error)
    for works, found in apart(traffic, findings_in(traffic, "error")):
        assert {f.severity for f in found} == {Severity.INFO if works else Severity.WARN}


def test_the_very_same_call_of_another_agent_makes_it_good(traffic: Traffic) -> None:
    for number in range(60):
        run = traffic.run(outcome=None).call("search", {"q": number}, f"found {number}")
        if number < 6:
            run.call("pay", {"id": number}, None, error="connection reset")
            other = run._add("invoke_agent clerk", "agent", agent_name="clerk", ms=0)
            run.call("pay", {"id": number}, f"paid {number}")
            run.span["parent_span_id"] = other["span_id"]
        run.turn()
    assert {f.severity for f in findings_in(traffic, "error")} == {Severity.INFO}
