"""Prompts that blow up, grow out of proportion or lose what they held, and those that work as meant."""

from hypothesis import given
from hypothesis import strategies as st

from halo_otel.analysis.detectors.context_growth import theil_sen
from halo_otel.model.finding import Role
from tests.analysis.conftest import Row, Run, Traffic, findings_in


def reads(run: Run, chars: int, before: int, after: int) -> Run:
    run.call("read_file", {"p": run.trace_id}, "x" * chars, asking={"tokens": before})
    return run.turn(tokens=after)


def test_one_huge_result_is_blamed_for_the_next_prompt(traffic: Traffic) -> None:
    for _ in range(30):
        reads(traffic.run(), 4_000, 900, 1_900)
    runs = [reads(traffic.run(), 80_000, 900, 20_900) for _ in range(5)]
    (found,) = findings_in(traffic, "context_growth")
    assert found.traces == tuple(run.trace_id for run in runs)
    assert found.subject.tool == "read_file"
    assert [one.role for one in found.evidence[:2]] == [Role.CAUSE, Role.SYMPTOM]
    assert found.evidence[0].span_id == runs[0].span["span_id"]
    assert found.impact.tokens_wasted == 5 * 20_000


def test_a_single_run_with_a_huge_result_is_shown(traffic: Traffic) -> None:
    reads(traffic.run(outcome=None), 80_000, 300, 20_300)
    assert [one.severity for one in findings_in(traffic, "context_growth")] == ["info"]


HARMLESS = (
    (80_000, 900, 1_400),  # shortened before it was used
    (80_000, 30_000, 50_000),  # the prompt was large before
    (3_000, 900, 20_900),  # something else made it grow
    (12_000, 900, 3_900),
)


def test_long_results_that_do_no_harm_are_left_alone(traffic: Traffic) -> None:
    for chars, before, after in traffic.each(HARMLESS):
        for _ in range(30):
            reads(traffic.run(), 1_000, 900, 1_200)
        for _ in range(6):
            reads(traffic.run(), chars, before, after)
    assert not findings_in(traffic, "context_growth")


def test_a_reader_of_long_pages_works_as_meant(traffic: Traffic) -> None:
    for number in range(40):
        reads(traffic.run(), 24_000 + 50 * number, 900, 7_000)
    assert not findings_in(traffic, "context_growth")


def converses(run: Run, prompts: list[int]) -> Run:
    for prompt in prompts:
        run.turn(tokens=prompt)
    return run


def test_prompts_that_outgrow_other_runs_are_told(traffic: Traffic) -> None:
    for number in range(30):
        converses(traffic.run(), [1_000 + (150 + number) * place for place in range(8)])
    runs = [
        converses(traffic.run(), [1_000 + 2_500 * place for place in range(8)]) for _ in range(5)
    ]
    (found,) = findings_in(traffic, "context_growth")
    assert found.traces == tuple(run.trace_id for run in runs)


CONVERSATIONS = (
    [1_000 + 150 * place for place in range(60)],  # long, and grows as usual
    [1_000 + 2_500 * (place % 5) for place in range(15)],  # compacted
    [12_000] * 10,  # large from the beginning
    [1_000, 1_100, 1_200, 1_300, 1_400, 1_500, 12_000],  # one jump is no growth
)


def test_long_and_compacted_conversations_are_left_alone(traffic: Traffic) -> None:
    for prompts in traffic.each(CONVERSATIONS):
        for number in range(30):
            converses(traffic.run(), [1_000 + (150 + number) * place for place in range(8)])
        for _ in range(6):
            converses(traffic.run(), prompts)
    assert not findings_in(traffic, "context_growth")


def test_prompts_that_no_longer_fit_are_told(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(6):
        converses(traffic.run(outcome=False), [1_000, 90_000]).turn(
            tokens=130_000,
            error_source="status",
            error_message="This model's maximum context length is 128000 tokens. However, you requested 130000.",
        )
    (found,) = findings_in(traffic, "context_growth")
    assert "no longer fits" in found.summary


def forgets(run: Run, kept: int, *, again: bool) -> Run:
    asked = [f"{run.trace_id} {place}" for place in range(3)]
    for place, one in enumerate(asked):
        run.call("get_page", {"q": one}, f"about {one}", asking={"tokens": 2_000 + 900 * place})
    later = asked if again else [f"{one} more" for one in asked]
    for one in later:
        run.call("get_page", {"q": one}, f"about {one}", asking={"tokens": kept})
    return run


def test_asking_again_after_the_prompt_shrank_is_a_loss(traffic: Traffic) -> None:
    traffic.healthy(20)
    runs = [forgets(traffic.run(outcome=None), 500, again=True) for _ in range(6)]
    (found,) = findings_in(traffic, "context_growth")
    assert found.traces == tuple(run.trace_id for run in runs)
    assert "loses its context" in found.title


def test_a_compaction_that_keeps_what_is_needed_is_none(traffic: Traffic) -> None:
    traffic.healthy(20)
    for _ in range(6):
        forgets(traffic.run(), 500, again=False)
    assert not findings_in(traffic, "context_growth")


def test_an_agent_called_again_begins_with_a_small_prompt() -> None:
    """Two runs of one agent in a trace are two conversations."""
    traffic = Traffic().healthy(20)
    for _ in range(6):
        run = traffic.run()
        for _ in range(2):
            helper = run._add("invoke_agent helper", "agent", agent_name="helper", ms=0)
            for place in range(3):
                before = len(run.rows)
                asking: Row = {"tokens": 2_000 * (place + 1)}
                run.call("get_page", {"q": place}, f"page {place} {run.trace_id}", asking=asking)
                for added in run.rows[before:]:
                    added["parent_span_id"] = helper["span_id"]
    assert not findings_in(traffic, "context_growth")


@given(st.integers(-50, 50), st.integers(0, 10_000), st.integers(2, 90))
def test_the_slope_of_a_line_is_its_slope(slope: int, start: int, turns: int) -> None:
    assert theil_sen([start + slope * place for place in range(turns)]) == slope


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=60), st.integers(0, 1000))
def test_what_is_added_everywhere_is_no_slope(values: list[int], more: int) -> None:
    assert theil_sen([value + more for value in values]) == theil_sen(values)
