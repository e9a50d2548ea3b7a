"""What a mask takes out of a text, and what it leaves."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.redact import credentials, personal
from halo_otel.redact.mask import USUAL, Rules, mask

KEY = "AKIA" + "QWERTZUIOPASDFGH".replace("O", "7")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ask anna.b+x@mail.example.org now", "ask [e-mail] now"),
        (
            "call +49 30 123456-78 or (415) 555-2671.",
            "call [telephone number] or [telephone number].",
        ),
        ('{"password": "hunter22", "user": "bo"}', '{"password": "[secret]", "user": "bo"}'),
        ('{\\"api_key\\": \\"abcd1234\\"}', '{\\"api_key\\": \\"[secret]\\"}'),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [secret]"),
        ("curl -H 'x: Bearer abcdefghijklmnop=='", "curl -H 'x: Bearer [secret]'"),
        ("card 4539 1488 0343 6467", "card [card number ****6467]"),
        (f"key {KEY}.", "key [AWS access key AKIA****]."),
    ],
)
def test_what_is_taken_out(text: str, masked: str) -> None:
    assert mask(text).text == masked
    assert sum(mask(text).kinds.values()) == masked.count("[")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T08:29:40.000Z took 1234.5 ms, 14 of 200 runs, span 00f067aa0ba902b7",
        '{"max_tokens": 4096, "password_required": true, "secret": null}',
        "the password must have ten characters",
        "version 2.3.1+4, 10.0.0.1:8080, 555-1234, -100.50 and +12 %",
    ],
)
def test_what_is_left(text: str) -> None:
    assert mask(text).text == text


TEXTS = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["password=", '"', "@", "a@b.c", ".de", "+49301234567", "4539 1488 0343 6467", KEY, " ", "\\",
             "Bearer ", "abcdefghijkl", "card ", "[", "]", "DE44 5001 0517 5407 3249 31", "secret: ", "(415) 555-2671"]
        ),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(TEXTS)
def test_masked_twice_is_masked_once(text: str) -> None:
    assert mask(mask(text).text).text == mask(text).text


@given(TEXTS)
def test_a_text_that_is_changed_is_suspect(text: str) -> None:
    with duckdb.connect() as con:
        row = con.execute("SELECT regexp_matches(?, ?)", [text, USUAL.prefilter]).fetchone()
    assert row is not None
    assert row[0] or mask(text).text == text


@given(TEXTS)
def test_nothing_that_is_recognised_is_left(text: str) -> None:
    left = mask(text).text
    assert not credentials.find(left)
    assert not personal.find(left)


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    """A recogniser that goes back and forth would need hours for these."""
    for piece in (
        "a",
        "a@",
        "1 ",
        "secret",
        "+1",
        "password=",
        "a.",
        "-",
        "+49301234567",
        "(415) 555-2671",
    ):
        mask(piece * 20_000)


def test_numbers_in_one_piece_are_all_taken_out() -> None:
    """The first that is masked shows the second, and so on: after some rounds the rest goes as a whole."""
    for many in (3, 100):
        left = mask("call " + "+49301234567" * many + " now").text
        assert left.startswith("call [telephone number][telephone number]")
        assert "4567" not in left


def test_a_pattern_that_matches_what_stands_in_comes_to_an_end() -> None:
    rules = Rules.usual({"word": "[a-z]+"})
    assert mask("key of ann@shop.test", rules).text.count("[") >= 3
