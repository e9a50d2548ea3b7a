"""What slow calls have in common that usual ones have not, and which part of a model's answer is slow."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from halo_otel.analysis.causality.inference import fisher
from halo_otel.analysis.usual.circumstances import (
    ARGUMENT,
    EVERY_CALL,
    GIVEN,
    INPUT_SIZE,
    TIME,
    Calls,
    Circumstances,
    Streamed,
    Traits,
    together,
)
from halo_otel.analysis.usual.histogram import middle
from halo_otel.clock import NS_PER_S

LEVEL: Final = (
    0.01  # chance that any attribute is named by luck, all that were tried counted (Bonferroni)
)
_SLOW_SHARE_MIN: Final = 0.9  # "all" of the slow calls: the cut between the modes is off by a few
_USUAL_SHARE_MAX: Final = 0.5  # what most usual calls have as well tells nobody where to look
_STREAMED_MIN: Final = 3  # calls on either side
_PART_MIN: Final = (
    0.6  # share of the additional time from which one part of an answer accounts for it
)
_LONGER_MIN: Final = 2.0  # times the tokens: a longer answer …
_AS_FAST_MIN: Final = 0.7  # … and no slower one: rates vary from call to call


class Common(NamedTuple):
    """An attribute's `value` and how many of the slow and the usual calls have it; of `INPUT_SIZE` at least
    that much, of `TIME` the first and the last slot."""

    p_adjusted: float
    name: str
    value: str
    slow: int
    of_slow: int
    usual: int
    of_usual: int


class Stream(NamedTuple):
    """Which part of the slow answers takes longer, and both levels."""

    part: str  # "wait" for the first token in s, "rate" in tokens per second, "length" in tokens
    slow: float
    usual: float


def common(circumstances: Circumstances, above_ns: float) -> list[Common]:
    """What nearly all calls that take longer than `above_ns` have, and at least half of the others have not, surest first.

    One-sided exact test (Fisher 1935) over the traces, times the number of conditions tried.
    """
    all_slow, _ = _sides(circumstances.traits[EVERY_CALL][GIVEN], above_ns)
    tried, found = 0, []
    for name, value, having, among in _conditions(circumstances.traits, above_ns):
        slow, usual = _sides(having, above_ns)
        of_slow, of_usual = _sides(among, above_ns)
        tried += 1
        if slow >= _SLOW_SHARE_MIN * all_slow and usual <= _USUAL_SHARE_MAX * of_usual:
            p = fisher(slow, of_slow, usual, of_usual)
            found.append(Common(p, name, value, slow, of_slow, usual, of_usual))
    adjusted = (one._replace(p_adjusted=one.p_adjusted * tried) for one in found)
    return sorted(one for one in adjusted if one.p_adjusted <= LEVEL)


def _conditions(traits: Traits, above_ns: float) -> Iterator[tuple[str, str, Calls, Calls]]:
    """Attribute, value, the calls that have it, and those of which it is known."""
    for name, values in sorted(traits.items()):
        everything = together(values.values())
        if name == TIME and GIVEN not in values:
            for since, until in _times(values, above_ns):
                within = (hist for slot, hist in values.items() if since <= int(slot) <= until)
                yield name, f"{since} {until}", together(within), everything
        elif name == INPUT_SIZE:
            for least in values:
                larger = (hist for size, hist in values.items() if int(size) >= int(least))
                yield name, least, together(larger), everything
        elif name.startswith(ARGUMENT) and name != ARGUMENT:
            known = traits[ARGUMENT][GIVEN]
            yield name, GIVEN, everything, known
            for value in values.keys() - {GIVEN}:
                yield name, value, values[value], known
        elif GIVEN not in values:
            for value in values:
                yield name, value, values[value], everything


def _times(values: Mapping[str, Calls], above_ns: float) -> Iterator[tuple[int, int]]:
    """All stretches of time that begin and end with a slow call: as many as are tried."""
    slots = sorted(int(slot) for slot, hist in values.items() if _sides(hist, above_ns)[0])
    return ((since, until) for since in slots for until in slots if since <= until)


def streamed(circumstances: Circumstances, above_ns: float) -> Stream | None:
    """Which part of the slow model calls takes longer, None where one does not account for most of it."""
    slow, usual = Streamed(), Streamed()
    for bucket, sums in circumstances.streams.items():
        if middle(bucket) > above_ns:
            slow = slow.plus(sums)
        else:
            usual = usual.plus(sums)
    if min(slow.calls, usual.calls) < _STREAMED_MIN:
        return None
    waits = slow.wait_ns / slow.calls, usual.wait_ns / usual.calls
    writes = slow.write_ns / slow.calls, usual.write_ns / usual.calls
    tokens = slow.tokens / slow.calls, usual.tokens / usual.calls
    more = waits[0] + writes[0] - waits[1] - writes[1]
    if more > 0 and waits[0] - waits[1] >= _PART_MIN * more:
        return Stream("wait", waits[0] / NS_PER_S, waits[1] / NS_PER_S)
    if more <= 0 or writes[0] - writes[1] < _PART_MIN * more:
        return None
    rates = [NS_PER_S * count / max(1.0, ns) for count, ns in zip(tokens, writes, strict=True)]
    if tokens[0] >= _LONGER_MIN * tokens[1] and rates[0] >= _AS_FAST_MIN * rates[1]:
        return Stream("length", *tokens)
    return Stream("rate", *rates)


def _sides(calls: Calls, above_ns: float) -> tuple[int, int]:
    """How many traces have a slow call, and how many a usual one."""
    slow = sum(n for bucket, n in calls.slowest.items() if middle(bucket) > above_ns)
    return slow, sum(n for bucket, n in calls.chosen.items() if middle(bucket) <= above_ns)
