"""Laws of a finding's life."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from halo_otel.findings import lifecycle
from halo_otel.findings.lifecycle import FRESH_NS, FRESH_WINDOWS, RESOLVED_EXPECTED, State
from halo_otel.model.cell import Trend
from halo_otel.model.finding import Status

NEW, ONGOING, ESCALATING, IMPROVING, REGRESSED, RESOLVED, MUTED = (
    Status.NEW,
    Status.ONGOING,
    Status.ESCALATING,
    Status.IMPROVING,
    Status.REGRESSED,
    Status.RESOLVED,
    Status.MUTED,
)
# The diagram in the docstring of `lifecycle`, without mutes.
STEPS = {
    NEW: {NEW, ONGOING, RESOLVED},
    ONGOING: {ONGOING, RESOLVED},
    RESOLVED: {RESOLVED, REGRESSED},
    REGRESSED: {REGRESSED, ONGOING, RESOLVED},
    ESCALATING: {ESCALATING, RESOLVED},
    IMPROVING: {IMPROVING, RESOLVED},
}
HEADED = {Trend.UP: ESCALATING, Trend.DOWN: IMPROVING}

seen = st.tuples(st.just("seen"), st.integers(0, 10**15))
unseen = st.tuples(st.just("unseen"), st.integers(0, 40))
mute = st.tuples(st.just("mute"), st.none() | st.integers(0, 10**16))
heading = st.tuples(st.sampled_from(Trend), st.none())
unmute = st.tuples(st.just("unmute"), st.none())
RATE = 0.3


def advance(state: State, what: str, value: int | None, now_ns: int) -> State:
    state = lifecycle.woken(state, now_ns)
    if what == "seen":
        return lifecycle.seen(state, now_ns)
    if what == "unseen":
        return lifecycle.unseen(state, value or 0, RATE, now_ns)
    if isinstance(what, Trend):
        return lifecycle.headed(state, what, now_ns)
    return lifecycle.muted(state, value) if what == "mute" else lifecycle.unmuted(state)


@given(st.lists(seen | unseen | heading | mute | unmute, max_size=40))
def test_every_sequence_of_runs_is_a_path_in_the_diagram(
    happenings: list[tuple[str, int | None]],
) -> None:
    now_ns = 0
    state = lifecycle.born(now_ns)
    for what, value in happenings:
        now_ns += value or 1 if what == "seen" else 1
        after = advance(state, what, value, now_ns)
        if not isinstance(what, Trend):
            assert after.life in STEPS[state.life]
        elif state.life is RESOLVED:
            assert after.life is RESOLVED
        elif what is not Trend.STEADY:
            assert after.life is HEADED[what]
        else:
            assert after.life is (ONGOING if state.life in HEADED.values() else state.life)
        assert (after.status is MUTED) == (after.muted_until_ns is not None)
        assert after.windows_seen == state.windows_seen + (what == "seen")
        if after.life is RESOLVED and state.life is not RESOLVED:
            assert what == "unseen"
            assert after.unseen_traces * RATE >= RESOLVED_EXPECTED
        if after.life is REGRESSED and state.life is RESOLVED:
            assert what == "seen"
        state = after


@given(st.lists(seen | unseen | heading, max_size=30), st.none() | st.integers(0, 10**16))
def test_a_mute_hides_the_life_and_does_not_change_it(
    happenings: list[tuple[str, int | None]], until_ns: int | None
) -> None:
    loud = lifecycle.born(0)
    silent = lifecycle.muted(loud, until_ns)
    now_ns = 0
    for what, value in happenings:
        now_ns += value or 1 if what == "seen" else 1
        loud, silent = (advance(state, what, value, now_ns) for state in (loud, silent))
        assert replace(silent, muted_until_ns=None) == loud
        over = until_ns is not None and until_ns <= now_ns
        assert silent.status is (loud.life if over else MUTED)


@given(st.lists(st.integers(0, 0), max_size=50))
def test_silence_resolves_nothing(exposures: list[int]) -> None:
    state = lifecycle.born(0)
    for now_ns, exposed in enumerate(exposures):
        state = lifecycle.unseen(state, exposed, 1.0, now_ns)
    assert state.status is NEW


def test_the_rule_of_three_counts_from_the_last_sight() -> None:
    state = lifecycle.unseen(lifecycle.born(0), 9, RATE, 1)  # 2.7 expected: not enough
    assert state.status is NEW
    assert lifecycle.unseen(state, 1, RATE, 2).status is RESOLVED  # 3.0
    again = lifecycle.seen(state, 2)
    assert lifecycle.unseen(again, 1, RATE, 3).status is NEW


def test_news_ends_after_three_windows_or_seven_days() -> None:
    state = lifecycle.born(0)
    for now_ns in range(1, FRESH_WINDOWS):
        state = lifecycle.seen(state, now_ns)
        assert state.status is NEW
    assert lifecycle.seen(state, FRESH_WINDOWS).status is ONGOING
    assert lifecycle.seen(lifecycle.born(0), FRESH_NS + 1).status is ONGOING
