"""Numbers and names are found in sentences as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.recursion.claims.figures import figures, names, says


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("14 of 1,000 runs (1.4 %) took 30s, 3x as long.", ["14", "1000", "1.4%", "30", "3"]),
        ("Twelve runs, 5 per cent, the 3rd call.", ["12", "5%", "3"]),
        ("Half of them, a dozen; hundreds!", ["50%", "12", "100"]),
        ("A 3-step plan costs $0.25.", ["3", "0.25"]),
        ("gpt-4 since 2.4.1 in order_17 and 0123456789abcdef", []),
        ("Nothing to count, no one", []),
    ],
)
def test_figures(sentence: str, found: list[str]) -> None:
    assert [f"{one.value:g}{'%' if one.percent else ''}" for one in figures(sentence)] == found


@pytest.mark.parametrize(
    ("sentence", "bounds"),
    [
        ("at least 3 times", [True]),
        ("more than 30 s, less than 1,000 ms", [True, True]),
        ("3 or more calls", [True]),
        ("exceeds 16,384 characters", [True]),
        ("3 calls, at least", [False]),
        ("3 calls for at least 2 s", [False, True]),
    ],
)
def test_limits_are_told_from_counts(sentence: str, bounds: list[bool]) -> None:
    assert [one.bound for one in figures(sentence)] == bounds


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        (
            "gpt-4o since 2.4.1 says “not found” in order_17.",
            ["not found", "gpt-4o", "2.4.1", "order_17"],
        ),
        ("17 of 20 runs, 3.5 %, 30s", []),
        ('The tool `search` says "no 5 seats"', ["search", "no 5 seats"]),
    ],
)
def test_names(sentence: str, found: list[str]) -> None:
    assert list(names(sentence)) == found


@given(value=st.integers(0, 10**9))
def test_a_count_is_stated_exactly_or_not_at_all(value: int) -> None:
    (same,) = figures(f"{value:,} runs")
    (other,) = figures(f"{value + 1} runs")
    (share,) = figures(f"{value} % of the runs")
    assert says(same, value)
    assert not says(other, value)
    assert not says(share, value)


@given(value=st.floats(0.01, 1), decimals=st.integers(1, 3))
def test_a_share_is_stated_as_a_percentage_to_any_digit(value: float, decimals: int) -> None:
    (figure,) = figures(f"{round(100 * value, decimals):.{decimals}f} % of the runs")
    assert says(figure, value) or abs(100 * value - figure.value) > 0.05 * 100 * value
    (wrong,) = figures(f"{100 * value + 2:.{decimals}f} % of the runs")
    assert not says(wrong, value)
