"""Answers that are cut off, and answers that end by themselves."""

from halo_otel.model.finding import Severity
from tests.analysis.conftest import Run, Traffic, apart, findings_in, one_each


def test_final_answers_that_are_cut_off_are_told(traffic: Traffic) -> None:
    traffic.healthy(20)
    runs = [
        traffic.run(outcome=None).turn(output_text="The report is", finish_reason="length")
        for _ in range(6)
    ]
    (found,) = findings_in(traffic, "truncation")
    assert found.traces == tuple(run.trace_id for run in runs)
    assert found.severity is not Severity.INFO


def test_json_without_its_end_is_cut_off(traffic: Traffic) -> None:
    cut = ['{"items": [{"id": 1, "na', '```json\n{"a": [1, 2', '[{"a": 1}, {"b']
    for text in traffic.each(cut):
        traffic.healthy(20)
        for _ in range(6):
            traffic.run(outcome=None).turn(output_text=text, output_text_chars=len(text))
    for text, found in apart(traffic, findings_in(traffic, "truncation")):
        assert found, text


WHOLE_OR_UNKNOWN: tuple[tuple[str, dict[str, object]], ...] = (
    ('{"a": 1}', {}),
    ("```json\n[1, 2]\n```", {}),
    ("[Note] this is no JSON", {}),
    ('{"a": [1, 2', {"finish_reason": "stop"}),  # ends by itself: malformed, not cut
    ('{"a": [1, 2', {"output_text_chars": 20_000}),  # cut by what recorded it
    ('{"a": [1, 2', {"output_unknown": "truncated"}),
    ("Done.", {"finish_reason": "stop"}),
)


def test_answers_that_are_whole_or_unknown_are_left_alone(traffic: Traffic) -> None:
    for text, more in traffic.each(WHOLE_OR_UNKNOWN):
        traffic.healthy(20)
        for _ in range(10):
            columns: dict[str, object] = {"output_text_chars": len(text), **more}
            traffic.run().turn(output_text=text, **columns)  # type: ignore[arg-type]
    assert not findings_in(traffic, "truncation")


def test_an_agent_that_goes_on_made_it_good(traffic: Traffic) -> None:
    traffic.healthy(40)
    for _ in range(4):
        run = traffic.run().turn(output_text="Part one", finish_reason="length")
        run.turn(output_text="and part two", finish_reason="stop")
    assert all(one.severity is Severity.INFO for one in findings_in(traffic, "truncation"))


def test_an_agent_that_is_always_cut_is_meant_to_be(traffic: Traffic) -> None:
    for _ in range(30):
        traffic.run(agent="classifier").turn(output_text="A", finish_reason="length")
    assert not findings_in(traffic, "truncation")


def breaks_off(traffic: Traffic, tokens: list[int], *, words: str, **columns: object) -> list[Run]:
    """The runs that end with `words`, after so many tokens each."""
    runs = []
    traffic.healthy(20)
    for number in tokens:
        run = traffic.run(outcome=None)
        run.turn(output_text=words, output_text_chars=len(words), **columns)  # type: ignore[arg-type]
        run.rows[-1]["output_tokens"] = number
        runs.append(run)
    return runs


def test_answers_that_break_off_at_one_number_of_tokens_are_cut_off(traffic: Traffic) -> None:
    runs = {
        words: breaks_off(traffic, [1024] * 6 + [300, 711], words=words)
        for words in traffic.each(["First the amounts, then the", "Zuerst die Beträge,"])
    }
    for words, found in one_each(traffic, findings_in(traffic, "truncation")):
        assert found.traces == tuple(run.trace_id for run in runs[words][:6])


ENDS: tuple[tuple[list[int], str, dict[str, object]], ...] = (
    ([1024] * 6, "First the amounts, then the dates.", {}),
    ([1024] * 6, "First the amounts, then the", {"finish_reason": "stop"}),
    ([300, 411, 522, 633, 744, 855], "First the amounts, then the", {}),
    ([300] * 6 + [900], "First the amounts, then the", {}),  # it can go on for longer
    ([12] * 6, "First the amounts, then the", {}),
)


def test_answers_that_end_anywhere_or_as_sentences_do_are_left_alone(traffic: Traffic) -> None:
    for tokens, words, columns in traffic.each(ENDS):
        breaks_off(traffic, tokens, words=words, **columns)
    assert not findings_in(traffic, "truncation")


def test_going_on_with_what_breaks_off_again_makes_nothing_good(traffic: Traffic) -> None:
    traffic.healthy(40)
    for _ in range(6):
        run = traffic.run(outcome=None).turn(output_text="Part one", finish_reason="length")
        text = "Second, it is as before, and"
        run.turn(output_text=text, output_text_chars=len(text), finish_reason="stop")
    (found,) = findings_in(traffic, "truncation")
    assert found.severity is not Severity.INFO
