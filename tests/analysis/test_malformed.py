"""Model output that a program could not read."""

from halo_otel.model.finding import Finding, Role, Severity
from tests.analysis.conftest import Run, Traffic, findings_in, one_each

JSON_ERROR = "JSONDecodeError: Expecting ',' delimiter: line 1 column 9 (char 8)"


def malformed(traffic: Traffic) -> list[Finding]:
    return findings_in(traffic, "malformed_output")


def span(run: Run, name: str, kind: str, error: str, parent: str | None = None) -> Run:
    run._add(name, kind, parent=parent, ms=5, error_source="status", error_message=error)
    return run


PARSERS_SAY = (
    "OutputParserException: Could not parse LLM output: `hm`",
    "Failed to parse structured output",
    "UnexpectedModelBehavior: Exceeded maximum retries (1) for output validation",
    "ModelBehaviorError: Invalid JSON when parsing {",
    "tool_use_failed: Failed to call a function.",
    JSON_ERROR,
)


def test_a_parser_that_fails_after_a_turn_is_told(traffic: Traffic) -> None:
    for error in traffic.each(PARSERS_SAY):
        traffic.healthy(40)
        for _ in range(5):
            span(traffic.run(outcome=False).turn(), "parse_answer", "other", error)
    turns = {row["span_id"] for row in traffic.rows if row["span_kind"] == "llm"}
    for error, finding in one_each(traffic, malformed(traffic)):
        assert finding.severity is not Severity.INFO, error
        assert {one.span_id for one in finding.evidence if one.role is Role.CAUSE} <= turns


def test_arguments_that_are_no_json_are_told(traffic: Traffic) -> None:
    traffic.healthy(40)
    for _ in range(5):
        run = traffic.run(outcome=False).call("book", {"a": 1}, None, error=JSON_ERROR)
        run.span["tool_arguments"] = '{"a": 1,, }'
        run.turn()
    (finding,) = malformed(traffic)
    assert "no JSON" in finding.title


def test_a_provider_may_say_it_by_the_finish_reason(traffic: Traffic) -> None:
    traffic.healthy(40)
    for _ in range(5):
        traffic.run(outcome=False).turn(finish_reason="MALFORMED_FUNCTION_CALL")
    assert len(malformed(traffic)) == 1


def test_an_executor_that_finds_no_code_is_told(traffic: Traffic) -> None:
    traffic.healthy(40)
    for _ in range(5):
        run = traffic.run(outcome=False)
        error = "No SQL code was found in your last response."
        run.call("execute_sql", None, None, error=error, source="tool_result").turn()
    assert len(malformed(traffic)) == 1


# Traffic that a healthy system makes.


def test_an_upstream_that_returns_broken_json_is_not_the_model(traffic: Traffic) -> None:
    traffic.healthy(40)
    for number in range(10):
        run = traffic.run(outcome=False)
        run.call("weather", {"city": f"c{number}"}, None, error=JSON_ERROR).turn()
        run.call("weather", {"city": f"d{number}"}, "sunny")
        tool = str(run.span["span_id"])
        span(run, "parse_response", "other", JSON_ERROR, parent=tool)
    assert not malformed(traffic)


def test_a_request_that_fails_to_decode_after_a_call_is_not_the_model(traffic: Traffic) -> None:
    traffic.healthy(40)
    for number in range(10):
        run = traffic.run(outcome=False).call("weather", {"city": f"c{number}"}, "{broken")
        span(run, "parse_weather", "other", JSON_ERROR)
        span(run.turn(), "GET /rates", "other", JSON_ERROR)
    assert not malformed(traffic)


def test_arguments_recorded_in_another_notation_are_not_malformed(traffic: Traffic) -> None:
    """LangChain records `str(dict)`: that is how it writes, not what the model wrote."""
    for number in range(40):
        failing = number % 5 == 0
        error = "HTTP 503" if failing else None
        run = traffic.run(outcome=not failing).call("book", {"a": 1}, "ok", error=error)
        run.span["tool_arguments"] = f"{{'a': {number}}}"
        run.turn()
    assert not malformed(traffic)
