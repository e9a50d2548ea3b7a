"""A claim made of true facts is verified, and whatever is changed in it, it is dropped."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from halo_otel.recursion.claims.claim import Claim, Dropped, Reason, Verified, claim_schema, read
from halo_otel.recursion.claims.verify import verify
from halo_otel.recursion.environment.environment import Environment
from tests.recursion.environments import bookings, environment_of, first

GOOD, BAD = 20, 10
COUNT = "select count(distinct trace_id) from spans where tool = 'book' and failed"
SHARE = "select avg(failed::int) from spans where tool = $1 and is_call"
SHOWING = "select trace_id from spans where tool = 'book' and arguments like '%2024-13-%'"


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with environment_of(bookings(GOOD, BAD).rows) as it:
        yield it


def facts(environment: Environment, trace_id: str) -> dict[str, str]:
    """The ids that a claim about a failing run cites."""
    rows = environment.rows(
        "select tool, span_id, turn_id, error from spans where trace_id = ? and is_call", [trace_id]
    )
    calls = {tool: (span, turn, error) for tool, span, turn, error in rows}
    return {
        "book": calls["book"][0],
        "turn": calls["book"][1],
        "search": calls["search"][0],
        "error": calls["book"][2],
    }


def claim(environment: Environment, **changes: object) -> dict[str, Any]:
    """A true claim, as a model would write it."""
    trace_id = first(environment, "select min(trace_id) from traces where outcome = 'failed'")
    known = facts(environment, trace_id)
    return {
        "subject": {"service": "shop", "agent": "booker", "tool": "book", "model": None},
        "statement": "10 of 30 runs (33 %) ask for a month that does not exist; the call is refused.",
        "predicates": [
            {"sql": COUNT, "parameters": [], "comparison": "=", "expected": BAD},
            {"sql": SHARE, "parameters": ["book"], "comparison": "=", "expected": 0.333},
        ],
        "spans": [
            {"trace_id": trace_id, "span_id": known["book"]},
            {"trace_id": trace_id, "span_id": known["turn"]},
        ],
        "quotes": [
            {
                "trace_id": trace_id,
                "span_id": known["book"],
                "field": "error",
                "text": known["error"],
            }
        ],
        "contrast": {"sql": SHOWING, "parameters": []},
        "causal": False,
        "edge": {
            "trace_id": trace_id,
            "kind": "emission",
            "from_span": known["turn"],
            "to_span": known["book"],
        },
        "severity": "error",
        "recommendation": "Check the month before the call and ask again.",
    } | changes


def judged(environment: Environment, written: dict[str, Any]) -> Verified | Dropped:
    found = read(written)
    assert isinstance(found, Claim), found
    return verify(found, environment)


def reason(environment: Environment, **changes: object) -> Reason | None:
    """Why the claim with these changes is dropped; None if it is not."""
    result = judged(environment, claim(environment, **changes))
    return result.reason if isinstance(result, Dropped) else None


def test_a_true_claim_is_verified_with_its_figures(environment: Environment) -> None:
    result = judged(environment, claim(environment))
    assert isinstance(result, Verified), result
    assert result.values == (BAD, BAD / (GOOD + BAD))
    assert result.contrast is not None
    assert (result.contrast.failed_shown, result.contrast.failed) == (BAD, BAD)
    assert (result.contrast.passed_shown, result.contrast.passed) == (0, GOOD)
    assert result.contrast.matters
    assert len(result.traces) == BAD


def test_the_schema_takes_it_and_is_strict(environment: Environment) -> None:
    schema = claim_schema()
    jsonschema.validate(claim(environment), schema)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == set(claim(environment))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{",
        "[]",
        "null",
        '{"statement": "x"}',
        {"a": float("nan")},
        {"subject": {}, "causal": "perhaps"},
    ],
)
def test_what_is_no_claim_is_dropped_and_says_why(written: Any) -> None:
    dropped = read(written)
    assert isinstance(dropped, Dropped)
    assert dropped.reason is Reason.MALFORMED
    assert dropped.why


@settings(max_examples=15)
@given(digits=st.text("0123456789abcdef", min_size=16, max_size=16), place=st.integers(0, 1))
def test_another_span_id_is_dropped(environment: Environment, digits: str, place: int) -> None:
    written = claim(environment)
    assume(digits not in {one["span_id"] for one in written["spans"]})
    written["spans"][place]["span_id"] = digits
    result = judged(environment, written)
    assert isinstance(result, Dropped)
    assert result.reason in (Reason.SPAN_UNKNOWN, Reason.SPAN_UNSUPPORTED, Reason.EDGE_UNKNOWN)


@settings(max_examples=15)
@given(st.data())
def test_any_other_span_of_the_window_is_dropped(
    environment: Environment, data: st.DataObject
) -> None:
    spans = environment.rows("select trace_id, span_id from spans order by all")
    trace_id, span_id = data.draw(st.sampled_from(spans))
    written = claim(environment)
    for one in written["spans"]:
        assume((trace_id, span_id) != (one["trace_id"], one["span_id"]))
    written["spans"].append({"trace_id": trace_id, "span_id": span_id})
    result = judged(environment, written)
    assert isinstance(result, Dropped)
    assert result.reason is Reason.SPAN_UNSUPPORTED


@settings(max_examples=15)
@given(expected=st.one_of(st.integers(-5, 100), st.floats(0, 1).map(lambda x: round(x, 2))))
def test_another_expected_value_is_dropped(environment: Environment, expected: float) -> None:
    written = claim(environment)
    assume(expected != BAD)
    written["predicates"][0]["expected"] = expected
    result = judged(environment, written)
    assert isinstance(result, Dropped)
    assert result.reason is Reason.PREDICATE_FALSE


@settings(max_examples=15)
@given(number=st.integers(0, 10**6), place=st.integers(0, 2))
def test_a_changed_digit_in_the_statement_is_dropped(
    environment: Environment, number: int, place: int
) -> None:
    stated = [10, 30, 33]
    assume(number != stated[place])
    stated[place] = number
    statement = "{} of {} runs ({} %) ask for a month that does not exist.".format(*stated)
    assume(number not in (BAD, GOOD + BAD) or place == 2)  # true counts of runs
    assert reason(environment, statement=statement) is Reason.FIGURE_UNVERIFIED


@settings(max_examples=15)
@given(st.data())
def test_a_changed_quote_is_dropped(environment: Environment, data: st.DataObject) -> None:
    written = claim(environment)
    text: str = written["quotes"][0]["text"]
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(min_codepoint=33, max_codepoint=0x2FF))
    assume(letter != text[place] and not letter.isspace() and not text[place].isspace())
    written["quotes"][0]["text"] = text[:place] + letter + text[place + 1 :]
    result = judged(environment, written)
    assert isinstance(result, Dropped)
    assert result.reason is Reason.QUOTE_NOT_FOUND


@given(st.sampled_from([" ", "\n", "\t \n"]))
def test_white_space_in_a_quote_does_not_matter(environment: Environment, space: str) -> None:
    written = claim(environment)
    written["quotes"][0]["text"] = written["quotes"][0]["text"].replace(" ", space)
    assert isinstance(judged(environment, written), Verified)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c["edge"].update(from_span=c["edge"]["to_span"], to_span=c["edge"]["from_span"]), Reason.EDGE_UNKNOWN),
        (lambda c: c["edge"].update(kind="data"), Reason.EDGE_UNKNOWN),
        (lambda c: c["edge"].update(trace_id="f" * 32), Reason.SPAN_UNSUPPORTED),
        (lambda c: c.update(edge=None, causal=True, spans=c["spans"][:1]), Reason.CAUSE_WITHOUT_EDGE),
        (lambda c: c.update(edge=None), Reason.SPAN_UNSUPPORTED),
        (lambda c: c["subject"].update(tool="refund"), Reason.SUBJECT_UNKNOWN),
        (lambda c: c["subject"].update(model="large"), Reason.SUBJECT_UNKNOWN),
        (lambda c: c["quotes"][0].update(field="output"), Reason.QUOTE_NOT_FOUND),
        (lambda c: c["quotes"][0].update(text="date"), Reason.QUOTE_TOO_SHORT),
        (lambda c: c["quotes"][0].update(text=" \n "), Reason.QUOTE_NOT_FOUND),
        (lambda c: c["predicates"][0].update(sql="drop table spans"), Reason.PREDICATE_REFUSED),
        (lambda c: c["predicates"][0].update(sql="select 10"), Reason.PREDICATE_VACUOUS),
        (lambda c: c["predicates"][0].update(sql="select count(*) * 0 + 10 from spans"), Reason.PREDICATE_VACUOUS),
        (lambda c: c["predicates"][0].update(sql="select 10 from spans"), Reason.PREDICATE_NO_VALUE),
        (lambda c: c["predicates"][0].update(sql="select 10, 10"), Reason.PREDICATE_NO_VALUE),
        (lambda c: c["predicates"][0].update(sql="select null"), Reason.PREDICATE_NO_VALUE),
        (lambda c: c["predicates"][0].update(expected="10"), Reason.PREDICATE_FALSE),
        (lambda c: c["predicates"][0].update(comparison=">"), Reason.PREDICATE_FALSE),
        (lambda c: c["contrast"].update(sql="select trace_id from traces"), Reason.CONTRAST_ABSENT),
        (lambda c: c["contrast"].update(sql="select trace_id from traces where outcome = 'passed'"), Reason.CONTRAST_ABSENT),
        (lambda c: c["contrast"].update(sql="select trace_id from traces) or (true"), Reason.CONTRAST_REFUSED),
        (lambda c: c["contrast"].update(sql="attach 'x'"), Reason.CONTRAST_REFUSED),
        (lambda c: c["contrast"].update(sql="select trace_id, 1 from traces"), Reason.CONTRAST_REFUSED),
    ],
)  # fmt: skip
def test_each_way_to_be_wrong_has_its_reason(
    environment: Environment, change: Any, why: Reason
) -> None:
    written = claim(environment)
    change(written)
    result = judged(environment, written)
    assert isinstance(result, Dropped), result
    assert result.reason is why
    assert result.why
    assert result.claim == read(written)


@pytest.mark.parametrize(
    "word",
    ["because", "due to", "leads to", "caused by", "As a result of", "triggers", "results in"],
)
def test_causal_words_need_an_edge(environment: Environment, word: str) -> None:
    statement = f"10 runs fail {word} a month that does not exist."
    assert reason(environment, statement=statement) is None
    written = claim(environment, statement=statement, edge=None)
    written["spans"] = written["spans"][:1]
    result = judged(environment, written)
    assert isinstance(result, Dropped)
    assert result.reason is Reason.CAUSE_WITHOUT_EDGE


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("Ten of thirty runs ask for a month that does not exist.", None),
        ("The runs ask for a month that does not exist.", None),
        ("A third of the calls ask for a month that does not exist.", Reason.FIGURE_UNVERIFIED),
        ("33.3 percent of the calls, in 10 runs, ask for a wrong month.", None),
        ("33.4 percent of the calls, in 10 runs, ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("10 % of the runs ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("30 of 30 runs ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("Dozens of runs ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("10 runs take 4.5 s longer.", Reason.FIGURE_UNVERIFIED),
        ("10 runs ask twice for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("All 10 failed runs ask for a wrong month.", None),
        ("Most failed runs ask for a wrong month.", None),
        ("Most runs ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("All runs ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("None that passed asks for a wrong month; 10 of 10 that failed do.", None),
        ("10 of 20 runs ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("10 of 10 failed and 0 of 20 passed runs ask for a wrong month.", None),
        ("10 of 20 failed runs ask for a wrong month.", Reason.FIGURE_UNVERIFIED),
        ("10 runs of “booker” ask for a wrong month.", None),
        ("10 runs of “teller” ask for a wrong month.", Reason.NAME_UNVERIFIED),
        ("10 runs say “is not valid”.", None),
        ("10 runs say “is valid”.", Reason.NAME_UNVERIFIED),
        ("10 runs of gpt-4 ask for a wrong month.", Reason.NAME_UNVERIFIED),
        ("10 runs since 2.4.1 ask for a wrong month.", Reason.NAME_UNVERIFIED),
        ("10 runs ask for a month, see ffffffffffffff01.", Reason.NAME_UNVERIFIED),
    ],
)
def test_a_sentence_states_what_was_counted(
    environment: Environment, statement: str, why: Reason | None
) -> None:
    assert reason(environment, statement=statement) is why


def test_limits_of_a_predicate_may_be_stated_as_such_only(environment: Environment) -> None:
    sql = "select count(*) from (select trace_id from spans where is_call group by all having count(*) >= 2)"
    predicates = [{"sql": sql, "parameters": [], "comparison": "=", "expected": GOOD + BAD}]
    for statement, why in (
        ("30 runs make at least 2 calls.", None),
        ("30 runs make 2 or more calls.", None),
        ("2 runs make many calls.", Reason.FIGURE_UNVERIFIED),
        ("30 runs make 2 calls.", Reason.FIGURE_UNVERIFIED),
        ("30 runs make at least 3 calls.", Reason.FIGURE_UNVERIFIED),
    ):
        assert reason(environment, statement=statement, predicates=predicates) is why, statement


@settings(max_examples=15)
@given(bound=st.integers(0, 60))
def test_an_inequality_holds_as_far_as_it_does(environment: Environment, bound: int) -> None:
    def of(comparison: str) -> Reason | None:
        predicates = [{"sql": COUNT, "parameters": [], "comparison": comparison, "expected": bound}]
        return reason(environment, statement="Runs ask for a wrong month.", predicates=predicates)

    assert (of(">=") is None) == (0 < bound <= BAD)
    assert (of(">") is None) == (0 <= bound < BAD)
    assert of("<=") is (Reason.PREDICATE_VACUOUS if bound >= BAD else Reason.PREDICATE_FALSE)


def test_without_a_contrast_the_cited_traces_show_it(environment: Environment) -> None:
    result = judged(environment, claim(environment, contrast=None))
    assert isinstance(result, Verified), result
    assert (result.contrast, len(result.traces)) == (None, 1)


def test_what_redaction_wrote_is_no_quote() -> None:
    def shown(text: str) -> str:
        return text.replace("2024", "[year]")

    with environment_of(bookings(GOOD, BAD).rows, shown) as environment:
        written = claim(environment, contrast=None)
        assert "[year]" in written["quotes"][0]["text"]
        result = judged(environment, written)
        assert isinstance(result, Dropped)
        assert result.reason is Reason.QUOTE_NOT_FOUND
        written["quotes"][0]["text"] = "is not valid"
        assert isinstance(judged(environment, written), Verified)


def test_verifying_twice_says_the_same(environment: Environment) -> None:
    for changes in ({}, {"statement": "11 runs ask for a wrong month."}):
        written = claim(environment, **changes)
        assert judged(environment, written) == judged(environment, written)


def test_a_claim_comes_back_from_its_json(environment: Environment) -> None:
    found = read(claim(environment))
    assert isinstance(found, Claim)
    assert read(found.model_dump_json()) == found
    assert read(json.dumps(claim(environment))) == found
