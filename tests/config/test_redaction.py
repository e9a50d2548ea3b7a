"""What the section `redaction` takes, and what stops the start."""

import pytest

from halo_otel.config.load import load
from halo_otel.errors import ConfigError

HOME = {"HOME": "/home/someone"}


def test_lists_are_written_with_commas() -> None:
    config = load(
        None, {**HOME, "HALO_REDACTION_STORE": "email, card", "HALO_REDACTION_EMIT": "off"}
    )
    assert config.redaction.store == ("email", "card")
    assert config.redaction.emit == ()
    assert str(config.redaction_key_file) == "/home/someone/.local/share/halo-otel/redaction.key"


@pytest.mark.parametrize(
    ("patterns", "why"),
    [
        ('{"badge": "(a"}', r"redaction\.custom\.badge: missing \)"),
        ('{"badge": "a*"}', r"redaction\.custom\.badge: matches the empty text"),
        ('{"badge": "(?=a)b"}', r"redaction\.custom\.badge: .*no look-around"),
        ('{"badge": "."}', r"redaction\.custom\.badge: matches any text"),
        ('{"badge": "x*"}', r"redaction\.custom\.badge: matches the empty text"),
        (r'{"badge": "(a)\\1"}', r"redaction\.custom\.badge: .*invalid escape"),
        ('{"badge": "(a{1000}){1000}"}', r"redaction\.custom\.badge: .*repetition"),
        ('{"badge": "' + "a" * 1001 + '"}', r"redaction\.custom\.badge: .*1000 characters"),
        ('{"a]b": "a"}', r"redaction\.custom: 'a\]b' is no name"),
        ('{"": "a"}', r"redaction\.custom: '' is no name"),
    ],
)
def test_a_pattern_that_is_none_stops_the_start(patterns: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(None, {**HOME, "HALO_REDACTION_CUSTOM": patterns})


def test_patterns_that_match_any_text_together_are_none_that_does() -> None:
    patterns = '{"word": "[a-z]+", "number": "[0-9]+", "dash": "-"}'
    assert len(load(None, {**HOME, "HALO_REDACTION_CUSTOM": patterns}).redaction.custom) == 3


def test_a_kind_that_there_is_not_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"redaction\.store.*'emails'"):
        load(None, {**HOME, "HALO_REDACTION_STORE": "emails"})


def test_a_hostile_pattern_takes_no_time() -> None:
    """It would stop an engine that goes back and forth for good; here it is as good as any."""
    assert load(None, {**HOME, "HALO_REDACTION_CUSTOM": '{"badge": "(a+)+$"}'}).redaction.custom
