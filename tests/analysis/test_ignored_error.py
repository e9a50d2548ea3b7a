"""Answers that do not know of a failed call, and answers that do."""

from halo_otel.model.finding import Role
from tests.analysis.conftest import Run, Traffic, findings_in, one_each

DONE = "Your refund has been processed successfully. Is there anything else?"


def answer(run: Run, text: str) -> Run:
    return run.turn(output_text=text, output_text_chars=len(text), finish_reason="stop")


def fails(run: Run, text: str, tool: str = "issue_refund") -> Run:
    run.call(tool, {"order": run.trace_id}, None, error="HTTP 503 from payments")
    return answer(run, text)


CLAIMS = (
    DONE,
    "All done! I've issued your refund.",
    "The weather in Oslo is sunny with 21 degrees and light wind.",
)


def test_claims_after_a_failure_are_told(traffic: Traffic) -> None:
    failed = {}
    for text in traffic.each(CLAIMS):
        traffic.healthy(20)
        failed[text] = [fails(traffic.run(), text) for _ in range(6)]
    for text, found in one_each(traffic, findings_in(traffic, "ignored_tool_error")):
        runs = failed[text]
        assert found.traces == tuple(run.trace_id for run in runs)
        assert found.severity == "warn"
        assert found.subject.tool == "issue_refund"
        roles = {one.role: one.span_id for one in found.evidence[:2]}
        assert roles == {
            Role.CAUSE: runs[0].rows[-1]["span_id"],
            Role.SYMPTOM: runs[0].span["span_id"],
        }


KNOWING_OR_OPEN = (
    "I'm sorry, the refund could not be processed.",
    "The payment service is unavailable at the moment, please try again later.",
    "Refund failed with an error; everything else has been updated.",
    "Would you like me to use another card for this booking?",
    "Let me look for another way to do this for you.",
    "I will check the order first and come back to it.",
    "Ok.",
)


def test_answers_that_know_or_open_something_are_left_alone(traffic: Traffic) -> None:
    for text in traffic.each(KNOWING_OR_OPEN):
        traffic.healthy(20)
        for _ in range(8):
            fails(traffic.run(), text)
    assert not findings_in(traffic, "ignored_tool_error")


def test_a_retry_that_works_backs_the_claim(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run().call("issue_refund", {"o": 1}, None, error="HTTP 503")
        answer(run.call("issue_refund", {"o": 1}, "refunded"), DONE)
    assert not findings_in(traffic, "ignored_tool_error")


def test_another_way_that_works_backs_the_claim(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run().call("issue_refund", {"o": 1}, None, error="HTTP 503")
        answer(run.call("create_voucher", {"o": 1}, "voucher 7"), DONE)
    assert not findings_in(traffic, "ignored_tool_error")


def test_words_that_were_cut_tell_nothing(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(8):
        run = traffic.run().call("issue_refund", {"o": 1}, None, error="HTTP 503")
        run.turn(output_text=DONE, output_text_chars=90_000)
    assert not findings_in(traffic, "ignored_tool_error")
