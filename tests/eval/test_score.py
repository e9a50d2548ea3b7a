"""A finding is worth what was planted: a hit, an echo, or nothing."""

from dataclasses import replace

from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    RootCause,
    Severity,
    Subject,
)
from halo_otel.model.span import SpanId, TraceId
from tests.eval.scenario import Planted, Window
from tests.eval.score import Judged, brier, ece, judge, wilson

_PLANTED = Planted(
    fault="loop_exact",
    category="loop",
    service="desk",
    agent="clerk",
    tool="look_up",
    causes={"a": ("1", "2"), "b": ("3",)},
)
_WINDOW = Window(name="", application="", dialect="", spans=(), planted=(_PLANTED,))


def _evidence(trace: str, span: str, role: Role = Role.SYMPTOM) -> Evidence:
    return Evidence(trace_id=TraceId(trace), span_id=SpanId(span), role=role, note="", time_ns=0)


def _finding(category: str = "loop", traces: tuple[str, ...] = ("a", "b")) -> Finding:
    return Finding(
        fingerprint="",
        detector="",
        category=category,
        title="",
        summary="",
        subject=Subject(service="desk", tool="look_up"),
        severity=Severity.WARN,
        confidence=0.9,
        impact=Impact(traces_affected=2, traces_exposed=4),
        effect=Effect(measure="share", value=0.5, ci=(0.1, 0.9)),
        traces=tuple(map(TraceId, traces)),
        evidence=(),
        root_cause=None,
        recommendation="",
        priority=1.0,
    )


def test_category_subject_and_half_of_the_traces_make_a_hit() -> None:
    assert judge(_finding(), _WINDOW).worth == "hit"
    assert judge(_finding(traces=("a", "x")), _WINDOW).worth == "hit"
    assert judge(_finding(traces=("a", "x", "y")), _WINDOW).worth == "false"
    assert judge(_finding("cost"), _WINDOW).worth == "echo"


def test_another_subject_is_no_hit() -> None:
    assert judge(replace(_finding(), subject=Subject(tool="other")), _WINDOW).worth == "echo"
    assert judge(replace(_finding(), subject=Subject(service="other")), _WINDOW).worth == "echo"
    assert judge(replace(_finding(), subject=Subject(agent="other")), _WINDOW).worth == "echo"
    assert judge(replace(_finding(), subject=Subject()), _WINDOW).worth == "hit"


def test_everything_is_false_in_a_clean_window() -> None:
    assert judge(_finding(), replace(_WINDOW, planted=())).worth == "false"


def test_the_cause_counts_where_it_stands_and_contrast_does_not() -> None:
    told = _finding()
    assert judge(told, _WINDOW).rank == 0
    told = replace(told, evidence=(_evidence("a", "9"), _evidence("a", "2")))
    assert judge(told, _WINDOW).rank == 2
    contrast = (_evidence("x", "7", Role.CONTRAST), *told.evidence)
    assert judge(replace(told, evidence=contrast), _WINDOW).rank == 2
    cause = RootCause(trace_id=TraceId("b"), span_id=SpanId("3"), why="")
    assert judge(replace(told, root_cause=cause), _WINDOW).rank == 1
    elsewhere = RootCause(trace_id=TraceId("a"), span_id=SpanId("3"), why="")
    assert judge(replace(told, root_cause=elsewhere), _WINDOW).rank == 3


def _judged(confidence: float, worth: str) -> Judged:
    told = judge(_finding(), _WINDOW)
    assert worth in {"hit", "echo", "false"}
    return replace(told, confidence=confidence, worth=worth)  # type: ignore[arg-type]


def test_calibration_is_zero_for_the_truth_and_leaves_echoes_out() -> None:
    sure = [_judged(1.0, "hit"), _judged(0.0, "false"), _judged(0.7, "echo")]
    assert brier(sure) == ece(sure) == 0
    wrong = [_judged(1.0, "false")]
    assert brier(wrong) == ece(wrong) == 1


def test_an_interval_holds_its_share() -> None:
    low, high = wilson(3, 300)
    assert low < 0.01 < high < 0.03
    assert wilson(0, 0) == (0.0, 1.0)
