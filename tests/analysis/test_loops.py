from collections.abc import Callable

import pytest

from halo_otel.model.finding import Finding, Role, Severity

Found = Callable[..., list[Finding]]
SAME = {"q": "Oslo"}


def test_identical_calls_with_identical_answers_are_a_loop(traffic, found: Found) -> None:
    traffic.healthy(40)
    looping = [traffic.run(outcome=False) for _ in range(8)]
    for run in looping:
        run.call("search", {"q": "start"}, "ok")
        for _ in range(5):
            run.call("search", SAME, "nothing found")
    (loop,) = found("loop")
    assert loop.subject.tool == "search" and loop.subject.agent == "booker"
    assert loop.traces == tuple(sorted(run.trace_id for run in looping))
    assert (loop.impact.traces_affected, loop.impact.traces_exposed) == (8, 48)
    assert loop.impact.tokens_wasted == 8 * 4 * 100  # the turns of the four repeats
    assert loop.impact.seconds_wasted == pytest.approx(8 * 4 * 0.6)
    assert loop.severity in (Severity.WARN, Severity.ERROR) and loop.confidence >= 0.8
    repeats = {row["span_id"] for row in looping[0].rows if row["tool_arguments_chars"] == 13} if 0 else None
    assert loop.evidence[0].role is Role.CAUSE and loop.root_cause is not None
    spans = {row["span_id"]: row for run in looping for row in run.rows}
    first = spans[loop.root_cause.span_id]
    before = [r for r in traffic.rows if r["trace_id"] == first["trace_id"]
              and r["tool_arguments"] == first["tool_arguments"] and r["start_ns"] < first["start_ns"]] if False else []
    assert first["tool_name"] == "search" and not before and repeats is None
