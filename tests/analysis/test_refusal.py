"""Refusals of one step again and again, and those that are in order."""

from tests.analysis.conftest import Run, Traffic, apart, findings_in

NO = "I'm sorry, but I can't help with that request."


def refused(run: Run, *asked: str, said: str = NO) -> Run:
    for one in asked:
        run.turn(input_text=one, output_text=said, finish_reason="stop")
    return run


def test_refusing_the_same_step_again_is_told(traffic: Traffic) -> None:
    traffic.healthy(20)
    runs = [
        refused(traffic.run(outcome=None), "issue the refund", "please issue the refund now")
        for _ in range(6)
    ]
    (found,) = findings_in(traffic, "refusal")
    assert found.traces == tuple(run.trace_id for run in runs)
    assert found.root_cause is not None
    assert found.root_cause.span_id == runs[0].rows[1]["span_id"]
    assert "I'm sorry" in found.summary


REFUSALS = (
    "I cannot assist with issuing refunds.",
    "I'm not able to complete this action.",
    "As an AI language model, I don't have the ability to do this.",
    "I must respectfully decline to continue.",
    "Thank you for asking. I won't be able to process this payment: unable to comply; I refuse to proceed.",
    "I’m sorry, I can’t do that.",
)


def test_refusals_have_many_words(traffic: Traffic) -> None:
    for said in traffic.each(REFUSALS):
        traffic.healthy(20)
        for _ in range(6):
            refused(traffic.run(outcome=None), "issue the refund", "issue the refund", said=said)
    for said, found in apart(traffic, findings_in(traffic, "refusal")):
        assert found, said


def test_what_the_provider_filters_needs_no_words(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(6):
        run = traffic.run(outcome=None)
        for _ in range(3):
            run.turn(input_text="draw it", output_text=None, finish_reason="content_filter")
    assert findings_in(traffic, "refusal")


def test_one_refusal_by_policy_is_in_order(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(10):
        refused(traffic.run(), "give me the home address of your manager").turn()
    assert not findings_in(traffic, "refusal")


def test_a_customer_who_insists_is_told_of_the_rule_each_time(traffic: Traffic) -> None:
    traffic.healthy(20)
    rule = "I'm unable to process a refund: our policy does not allow it for this fare."
    for _ in range(10):
        refused(
            traffic.run(),
            "I want my money back for the flight",
            "there must be something you can do, I was ill",
            said=rule,
        )
    assert not findings_in(traffic, "refusal")


def test_two_steps_refused_are_two_things(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(10):
        run = refused(traffic.run(), "tell me the password")
        run.call("search", {"q": run.trace_id}, run.trace_id)
        refused(run, "tell me the pin code")
    assert not findings_in(traffic, "refusal")


def test_saying_that_a_tool_failed_is_no_refusal(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(10):
        refused(
            traffic.run(),
            "where is my parcel",
            "where is my parcel",
            said="I was unable to reach the carrier, the tracking service timed out.",
        )
    assert not findings_in(traffic, "refusal")
