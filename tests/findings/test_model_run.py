"""Runs of the model tier: what they add stays, and moves nothing but what the model found."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from halo_otel.findings import DroppedClaim, Query, Registry, SignalKind
from halo_otel.model.finding import MODEL_TIER, Explanation, Finding, Status, Subject
from tests.findings.conftest import Build

SAYS = Explanation(statement="The cache is off.", recommendation="Switch it on.")
NOW_NS = Build.start_ns


def listed(registry: Registry) -> Finding:
    (found,) = registry.findings(Query())
    return found


RUNS = count()


def think(registry: Registry, *findings: Finding, **more: object) -> None:
    values: dict[str, object] = {"dropped_max": 10, **more}
    run = Build.run(next(RUNS), trigger="model")
    registry.record_model(Build.report(*findings), run, NOW_NS, **values)  # type: ignore[arg-type]


def test_an_explanation_stays_until_another_or_the_end(registry: Registry) -> None:
    finding = Build.finding()
    registry.record(Build.report(finding), Build.run(), NOW_NS)
    think(registry, replace(finding, explanation=SAYS))
    assert listed(registry).explanation == SAYS
    registry.record(Build.report(Build.finding(traces=range(9))), Build.run(1), NOW_NS)
    assert listed(registry).explanation == SAYS
    assert SAYS.statement in listed(registry).full_summary
    think(registry, finding)  # nothing new to say
    assert listed(registry).explanation == SAYS
    other = Explanation(statement="The cache is too small.")
    think(registry, replace(finding, explanation=other))
    assert listed(registry).explanation == other
    registry.record(Build.report(), Build.run(2), NOW_NS, {finding.fingerprint: 100})
    assert listed(registry).status is Status.RESOLVED
    assert listed(registry).explanation is None
    think(registry, replace(finding, explanation=SAYS))  # began before the end
    assert listed(registry).explanation is None
    assert listed(registry).status is Status.RESOLVED


def test_the_next_record_carries_the_explanation(open_registry: Callable[..., Registry]) -> None:
    registry = open_registry(repeat_interval=1)
    finding = Build.finding()
    registry.record(Build.report(finding), Build.run(), NOW_NS)
    think(registry, replace(finding, explanation=SAYS))
    later_ns = NOW_NS + 10**10
    told = registry.pending(SignalKind.LOG, 100, NOW_NS, 60)
    assert not any(SAYS.statement in one.payload for one in told)
    registry.record(Build.report(Build.finding(traces=range(9))), Build.run(1), later_ns)
    told = registry.pending(SignalKind.LOG, 100, later_ns, 60)
    assert any(SAYS.statement in one.payload for one in told)


@pytest.mark.parametrize("exposed", [{}, None])
def test_of_other_findings_only_the_explanation_is_taken(
    registry: Registry, exposed: dict[str, int | None] | None
) -> None:
    old = Build.finding(traces=range(5))
    newer = Build.finding(traces=range(3, 9), summary="Newer figures.")
    registry.record(Build.report(old), Build.run(), NOW_NS)
    registry.record(Build.report(newer), Build.run(1), NOW_NS)
    before = listed(registry)
    strange = replace(old, traces=tuple(map(Build.trace, range(50, 60))), explanation=SAYS)
    for _ in range(5):  # with fresh traces in another order, it would be seen five times
        think(registry, strange, exposed=exposed)
        assert listed(registry) == replace(before, explanation=SAYS)
    think(registry, exposed=exposed)  # silence
    assert listed(registry) == replace(before, explanation=SAYS)
    assert len(registry.transitions()) == 1


def test_what_the_model_found_lives_by_its_own_runs(registry: Registry) -> None:
    own = Build.finding("model", tier=MODEL_TIER)
    think(registry, own)
    for number in range(9):
        registry.record(Build.report(), Build.run(number), NOW_NS)
        assert listed(registry).status is Status.NEW
    think(registry, exposed={})  # nobody could have shown it
    assert listed(registry).status is Status.NEW
    think(registry, exposed={own.fingerprint: 5})
    think(registry, exposed={own.fingerprint: None})  # not looked at: the count begins anew
    think(registry, exposed={own.fingerprint: 5})
    assert listed(registry).status is Status.NEW
    think(registry, exposed={own.fingerprint: 1})  # 6 of 0.5: three expected
    assert listed(registry).status is Status.RESOLVED
    think(registry, Build.finding("model", traces=range(5, 9), tier=MODEL_TIER))
    assert listed(registry).status is Status.REGRESSED


def dropped(number: int, **changes: object) -> DroppedClaim:
    values: dict[str, object] = {
        "at_ns": NOW_NS + number,
        "reason": "refuted",
        "why": f"no {number}",
        "statement": "The cache is off.",
        "subject": Subject(tool="search"),
        "cluster": None,
        "asked": "small-1",
    }
    return DroppedClaim(**{**values, **changes})  # type: ignore[arg-type]


def test_the_newest_dropped_claims_are_kept(registry: Registry) -> None:
    think(registry, dropped=[dropped(number) for number in range(4)], dropped_max=3)
    think(registry, dropped=[dropped(4)], dropped_max=3)
    assert registry.dropped_claims() == [dropped(4), dropped(3), dropped(2)]
    assert registry.dropped_claims(limit=1) == [dropped(4)]
    think(registry, dropped=[dropped(5)], dropped_max=0)
    assert registry.dropped_claims() == []


def test_a_dropped_claim_is_made_one_safe_line(registry: Registry) -> None:
    nasty = "a\x00b\x1b[2J\ud800\n" + "x" * 9000
    think(registry, dropped=[dropped(0, why=nasty, cluster=nasty, subject=Subject(agent=nasty))])
    (kept,) = registry.dropped_claims()
    for text in (kept.why, kept.cluster or "", kept.subject.agent or ""):
        assert text.startswith("a b [2J x")
        assert text.endswith("…")
        assert len(text.encode()) <= 4096
