"""Nothing out of a trace can steer a terminal."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.cli.terminal import complain, console, duration, safe, styled, write
from halo_otel.errors import BadRequest


@given(st.text(st.characters()))
def test_a_safe_text_is_one_line_of_visible_characters(text: str) -> None:
    shown = safe(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for c in shown)
    assert safe(shown) == shown
    if text.isprintable():
        assert shown == " ".join(text.split())


def test_markup_and_emoji_codes_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("[red]a[/red] :bomb:", styled("[b]c[/b]", "bold"))
    assert capsys.readouterr().out == "[red]a[/red] :bomb: [b]c[/b]\n"


def test_an_error_keeps_its_lines_and_loses_its_controls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    complain("2 problems:\n  a: \x1b[2J\n  b")
    assert capsys.readouterr().err == "2 problems:\n  a: \ufffd[2J\n  b\n"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0 ms"), (12_345_678, "12 ms"), (1_250_000_000, "1.2 s"), (245 * 10**9, "4 min 05 s")],
)
def test_durations(nanoseconds: int, text: str) -> None:
    assert duration(nanoseconds) == text


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="give another --out"):
        write("text", tmp_path)
