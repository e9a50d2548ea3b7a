"""Data that leaves, and data that is handled as it should be."""

import json
from collections.abc import Callable

from halo_otel.model.finding import Finding, Severity
from tests.analysis.conftest import Run, Traffic, findings_in, one_each

# In pieces, so that whoever scans this file for secrets finds none.
KEY = "sk_live_" + "9aQ4Lm2TzR7cVx1BnW8eKd5Y"
CLOUD = "AKIA" + "5TJQ2MHV7WXN3RKD"
PEM = (
    "-----BEGIN RSA "
    + "PRIVATE KEY-----\n"
    + "MIIEpAIBAAKCAQEAx7Pz3kTq9LmN2bVcXw8Rf4Gh6Jy0Ds1A" * 2
)
CARD = "4539 1488 0343 6467"
IBAN = "DE44 5001 0517 5407 3249 31"


def asked(run: Run, question: str) -> Run:
    run.rows[0] |= {"input_text": question, "input_text_chars": len(question)}
    return run


def answered(run: Run, answer: str) -> Run:
    run.turn()
    run.rows[-1] |= {"output_text": answer, "output_text_chars": len(answer)}
    return run


def ten_do(traffic: Traffic, leak: Callable[[Run], object]) -> None:
    """Ten runs that do `leak` among twenty that do something else."""
    for run in traffic.healthy(20).runs[-20:]:
        asked(run, "Book me a trip.")
    for _ in range(10):
        leak(asked(traffic.run(), "What about my order?"))


def ten(traffic: Traffic, leak: Callable[[Run], object]) -> list[Finding]:
    """The findings on them."""
    ten_do(traffic, leak)
    return findings_in(traffic, "data_exposure")


def test_a_secret_that_was_read_and_mailed_is_told(traffic: Traffic) -> None:
    def leak(run: Run) -> None:
        run.call("read_config", {"path": "app.env"}, f"PORT=80\nPAYMENT={KEY}\n")
        run.call("send_email", {"to": "a@shop.test", "body": f"The key is {KEY}, use it."}, "sent")

    (found,) = ten(traffic, leak)
    assert found.detector == "credential_exposure"
    assert found.severity is Severity.WARN
    assert found.subject.tool == "send_email"
    assert len(found.traces) == 10
    assert found.root_cause is not None
    assert found.root_cause.span_id == traffic.runs[20].rows[-1]["span_id"]
    assert "read_config" in found.recommendation
    assert "body" in found.recommendation


def test_a_secret_is_never_shown(traffic: Traffic) -> None:
    for secret in traffic.each([KEY, CLOUD, PEM]):

        def leak(run: Run, secret: str = secret) -> None:
            run.call("read_config", {}, secret)
            answered(run, f"Here you are:\n{secret}")

        ten_do(traffic, leak)
    for secret, found in one_each(traffic, findings_in(traffic, "data_exposure")):
        assert found.subject.tool is None
        shown, whole = repr(found), secret.splitlines()[-1]
        for start in range(len(whole) - 5):
            part = whole[start : start + 6]
            assert part not in shown or part == "sk_liv"


def test_an_echo_is_not_where_it_comes_from(traffic: Traffic) -> None:
    """The tool that sends repeats what it sent, and the next prompt holds the call."""

    def leak(run: Run) -> None:
        body = f"Use {KEY}."
        run.call("notify_partner", {"to": "b@x.test", "text": body}, f"sent: {body}").turn()
        run.rows[-1] |= {"input_text": f"call: {body}", "input_text_chars": len(body) + 6}

    (found,) = ten(traffic, leak)
    assert found.subject.tool == "notify_partner"
    assert len(found.traces) == 10


def test_whoever_is_addressed_is_told_whatever_the_tool_is_called(traffic: Traffic) -> None:
    def leak(run: Run) -> None:
        run.call("get_customer", {}, IBAN)
        run.call("dispatch", {"recipient": "b@x.test", "body": f"They pay with {IBAN}."}, "ok")

    (found,) = ten(traffic, leak)
    assert found.subject.tool == "dispatch"


def test_a_number_that_a_tool_returned_and_the_answer_repeats_is_told(traffic: Traffic) -> None:
    def leak(run: Run) -> None:
        run.call("get_customer", {"id": 7}, json.dumps({"name": "Mia", "card": CARD}))
        if len(traffic.runs) > 24:
            answered(run, f"Your card {CARD} was charged.")

    (found,) = ten(traffic, leak)
    assert found.detector == "personal_data_exposure"
    assert "6467" in found.evidence[0].note
    assert CARD not in repr(found)
    assert "get_customer" in found.recommendation


def test_one_leaked_key_in_a_thousand_runs_is_a_note(traffic: Traffic) -> None:
    traffic.healthy(60)
    run = traffic.run().call("read_config", {}, KEY)
    answered(run, f"It says {KEY}.")
    (found,) = findings_in(traffic, "data_exposure")
    assert found.severity is Severity.INFO
    assert found.traces == (run.trace_id,)


def reads_a_secret(run: Run) -> None:
    run.call("read_config", {}, f"{KEY}\n{PEM}\n{CARD}")


def lists_files(run: Run) -> None:
    answered(run.call("list_files", {}, "./.env\n./main.py"), "There are ./.env and ./main.py.")


def hands_a_login_on(run: Run) -> None:
    run.call("login", {"user": "bot"}, KEY)
    run.call("http_get", {"url": "https://api.shop.test", "headers": {"Authorization": KEY}}, "[]")
    run.call("post_message", {"text": "done", "token": KEY}, "ok")


def makes_a_key_for_its_user(run: Run) -> None:
    run.call("create_api_key", {"name": "ci"}, json.dumps({"key": KEY}))
    answered(run, f"Your new key is {KEY}. It is shown once.")


def handles_what_the_user_said(run: Run) -> None:
    asked(run, f"My IBAN is {IBAN}, and my card {CARD}. Is my key {KEY} still valid?")
    run.call("get_customer", {"iban": IBAN}, json.dumps({"iban": IBAN, "card": CARD, "key": KEY}))
    run.call("reply_ticket", {"text": f"We have {IBAN} and {CARD}, and {KEY} is valid."}, "sent")
    answered(run, f"Your refund goes to {IBAN}. Your key {KEY} is valid.")


def pays(run: Run) -> None:
    run.call("get_customer", {}, json.dumps({"iban": IBAN, "card": CARD}))
    run.call("http_post", {"url": "https://pay.shop.test", "body": {"card": CARD}}, "ok")
    run.call("create_payment", {"iban": IBAN, "note": f"to {IBAN}"}, "ok")


def extracts(run: Run) -> None:
    run.call("read_invoice", {}, f"Please pay to {IBAN}.")
    answered(run, json.dumps({"iban": IBAN, "card": CARD}))


def writes_examples(run: Run) -> None:
    run.call("read_docs", {}, "AKIAIOSFODNN7EXAMPLE 4242 4242 4242 4242")
    answered(
        run,
        "aws_access_key_id=AKIAIOSFODNN7EXAMPLE, pay with 4242 4242 4242 4242, \n"
        "DATABASE_URL=postgres://user:password@localhost:5432/db\nAPI_KEY=your-api-key-here-123\n"
        "export TOKEN=${TOKEN}\npostgres://app:s3cr3tX9@db.example.com/app sk-xxxxxxxxxxxxxxxxxxxxxxxx12",
    )


def shows_a_signed_link(run: Run) -> None:
    link = f"https://files.shop.test/a?X-Amz-Credential={CLOUD}%2F20260101&X-Amz-Signature=ab12"
    run.call("get_link", {}, link)
    answered(run, f"Download it: {link}")


def writes_a_file(run: Run) -> None:
    run.call("read_config", {}, KEY)
    run.call("write_file", {"path": ".env", "content": f"KEY={KEY}"}, "ok")
    run.call("search_slack", {"query": f"who uses {KEY}?"}, "nobody")


HEALTHY = (
    reads_a_secret,
    lists_files,
    hands_a_login_on,
    makes_a_key_for_its_user,
    handles_what_the_user_said,
    pays,
    extracts,
    writes_examples,
    shows_a_signed_link,
    writes_a_file,
)


def test_what_is_handled_as_it_should_is_no_exposure(traffic: Traffic) -> None:
    for healthy in traffic.each(HEALTHY):
        ten_do(traffic, healthy)
    assert not findings_in(traffic, "data_exposure")


def test_who_was_asked_for_what_is_unknown_is_not_judged(traffic: Traffic) -> None:
    """The user may have said the number."""
    traffic.healthy(20)
    for _ in range(10):
        run = traffic.run().call("get_customer", {}, CARD)
        answered(run, f"Your card {CARD} was charged.")
    assert not findings_in(traffic, "data_exposure")


def test_what_most_good_runs_say_is_how_the_agent_works(traffic: Traffic) -> None:
    for _ in range(20):
        run = asked(traffic.run(), "Where do I pay?").call("get_account", {}, IBAN)
        answered(run, f"Pay to {IBAN}, please.")
    assert not findings_in(traffic, "data_exposure")
