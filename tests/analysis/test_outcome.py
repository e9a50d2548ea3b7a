"""Whether a run failed, told from weak witnesses."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.causality import outcome
from halo_otel.analysis.judgement import Judgement
from tests.analysis.conftest import Run, Traffic, judged

VOTES = st.lists(st.sampled_from(sorted(outcome.LABELS)), unique=True, max_size=5).map(tuple)


def ended(traffic: Traffic) -> list[Judgement]:
    return outcome.settle(judged(traffic.rows))


def only(traffic: Traffic) -> Judgement:
    (run,) = ended(traffic)
    return run


def alone(traffic: Traffic) -> list[tuple[Any, Judgement]]:
    """The cases that `traffic.each` went through with the one run of each, settled by itself."""
    told = {run.service: outcome.settle([run]) for run in judged(traffic.rows)}
    return [(case, told[service][0]) for service, case in traffic.cases.items()]


def answer(run: Run, text: str, **columns: object) -> Run:
    run.turn()
    run.rows[-1] |= {"output_text": text, "output_text_chars": len(text), **columns}
    return run


def ask(run: Run, text: str) -> Run:
    run.rows[0] |= {"input_text": text, "input_text_chars": len(text)}
    return run


LAST_WORDS: tuple[tuple[dict[str, object], str], ...] = (
    ({"output_text": "I'm sorry, but I was unable to complete the booking."}, "unable"),
    ({"output_text": "Agent stopped due to max iterations."}, "step_limit"),
    ({"output_text": "The trip is boo", "finish_reason": "length"}, "cut_off"),
    ({"output_text": "Booked.", "finish_reason": "stop"}, "finished"),
    ({"output_text": "", "output_text_chars": 0}, "empty_answer"),
)


def test_the_last_words_vote(traffic: Traffic) -> None:
    for columns, _ in traffic.each(LAST_WORDS):
        answer(traffic.run(outcome=None).call("search", {"q": 1}), "x", **columns)
    for (_, vote), run in alone(traffic):
        assert vote in run.votes


HEALTHY_WORDS = (
    "I could not find a nonstop flight, so I booked the one with a stop in Denver.",
    "You can have at most 3 bags: the maximum number of bags is 3.",
    "I'm sorry for the delay. Your order is on its way.",
    "The limit of your card is 5,000.",
)


def test_what_healthy_agents_say_is_no_failure(traffic: Traffic) -> None:
    for text in traffic.each(HEALTHY_WORDS):
        answer(traffic.run(outcome=None), text)
    for text, run in alone(traffic):
        assert all(outcome.LABELS[vote].weight < 0 for vote in run.votes), text


EVALUATIONS = (
    ('[{"name":"task_success","score":0.0}]', True),
    ('[{"name":"user_feedback","label":"thumbs_down"}]', True),
    ('[{"name":"correctness","label":"pass"}]', False),
    ('[{"name":"toxicity","score":0.0}]', False),  # says nothing of the task: the status stays
    ('[{"name":"task_success","score":0.5}]', False),
    ('[{"name":"rating","score":4.5}]', False),  # of five? nobody says
)


def test_an_evaluation_of_the_task_outweighs_a_friendly_status(traffic: Traffic) -> None:
    for evaluations, _ in traffic.each(EVALUATIONS):
        answer(traffic.run(outcome=True), "Done.").rows[-1]["evaluations"] = evaluations
    for (evaluations, failed), run in alone(traffic):
        assert run.failed is failed, evaluations


def test_a_friendly_answer_alone_says_nothing(traffic: Traffic) -> None:
    answer(traffic.run(outcome=None), "Done.")
    run = only(traffic)
    assert run.failed is None
    assert run.p_failed is not None


def test_nothing_said_is_not_known(traffic: Traffic) -> None:
    traffic.run(outcome=None)
    run = only(traffic)
    assert (run.failed, run.p_failed, run.basis) == (None, None, ())


def test_a_friendly_answer_tells_where_failures_are_recorded(traffic: Traffic) -> None:
    for number in range(30):
        answer(traffic.run(outcome=False if number < 6 else None), "Done.")
    assert Counter(run.failed for run in ended(traffic)) == {True: 6, False: 24}


ASKED = "please book me a flight to Oslo on Monday"


@pytest.mark.parametrize(
    ("then", "vote"),
    [
        ("I said: please book me a flight to Oslo on Monday", "follow_up"),
        ("that's not what I asked for", "complaint"),
        (ASKED, None),  # a schedule asks the very same
        ("please book me a hotel for two nights", None),
        ("please book me a flight to Oslo on Monday 12", None),  # something else of the kind
    ],
)
def test_the_next_words_of_a_session_vote_on_the_run_before(
    traffic: Traffic, then: str, vote: str | None
) -> None:
    ask(traffic.run(session="s", outcome=None), ASKED)
    ask(traffic.run(session="s", outcome=None), then)
    ask(traffic.run(session="another", outcome=None), then)
    first, *others = ended(traffic)
    assert set(first.votes) | set(first.basis) >= ({vote} if vote else set())
    assert first.failed is None  # one weak witness is not enough
    assert not any(run.basis for run in others)


def test_two_weak_witnesses_are_enough(traffic: Traffic) -> None:
    run = traffic.run(outcome=None, session="s")
    answer(run, "I was not able to book the seat.")
    ask(run, ASKED)
    assert only(traffic).failed is None
    ask(traffic.run(outcome=None, session="s"), "that's not what I asked for")
    assert ended(traffic)[0].failed is True


@given(VOTES)
def test_the_outcome_is_the_side_that_p_is_on(votes: outcome.Votes) -> None:
    told = outcome.of(votes)
    assert (told.p_failed is None) is (not votes)
    assert set(told.basis) <= set(votes)
    if told.failed is not None:
        assert told.p_failed is not None
        assert told.failed is (told.p_failed > 0.5)
        assert told.basis


@given(VOTES, VOTES)
def test_hard_evidence_is_not_outvoted(soft: outcome.Votes, other: outcome.Votes) -> None:
    quiet = tuple(vote for vote in (*soft, *other) if not outcome.LABELS[vote].hard)
    assert outcome.of((*quiet, "root_error")).failed is True
    assert outcome.of((*quiet, "evaluated_good")).failed is False


@given(st.dictionaries(VOTES, st.integers(1, 500), max_size=12))
def test_learning_never_turns_a_witness_round(cast: dict[outcome.Votes, int]) -> None:
    learned = outcome.learn(cast)
    assert learned == outcome.learn(dict(reversed(list(cast.items()))))
    for name, weight in learned.items():
        assert weight * outcome.LABELS[name].weight > 0


def test_agreement_with_hard_evidence_makes_a_witness_weightier() -> None:
    together = outcome.learn({("root_error", "unrecovered"): 100, ("evaluated_good",): 300})
    apart = outcome.learn({("root_error",): 100, ("evaluated_good", "unrecovered"): 300})
    fixed = outcome.LABELS["unrecovered"].weight
    assert apart["unrecovered"] < fixed < together["unrecovered"]


def test_the_order_of_the_traces_does_not_matter(traffic: Traffic) -> None:
    for number in range(40):
        run = traffic.run(session=f"s{number % 7}", outcome=None if number % 3 else False)
        ask(answer(run, "Done."), f"please look at the thing again, number {'x' * (number % 4)}")
    runs = judged(traffic.rows)
    expected = {run.trace_id: (run.p_failed, run.basis) for run in outcome.settle(runs)}
    random.Random(1).shuffle(runs)
    assert {run.trace_id: (run.p_failed, run.basis) for run in outcome.settle(runs)} == expected


@pytest.mark.parametrize(
    ("failed", "votes", "seems"),
    [
        (False, ("unrecovered", "answered"), False),
        (True, ("answered",), True),
        (None, ("unrecovered", "answered"), True),
        (None, ("finished", "answered"), False),
        (None, (), None),
    ],
)
def test_a_run_in_doubt_goes_by_its_signs(
    failed: bool | None, votes: tuple[str, ...], seems: bool | None
) -> None:
    assert outcome.seems_failed(failed, votes) is seems
