"""Every target on what it is kept for, and for a bounded number of runs with atheris."""

import importlib
import platform
import sys
from pathlib import Path

import pytest

from tests.fuzz.running import CORPORA, TARGETS, fuzz

HAS_WHEEL = sys.platform == "linux" and platform.machine() == "x86_64"
CORPUS_BYTES_MAX = 1 << 20


@pytest.mark.parametrize("target", TARGETS)
def test_the_laws_hold_of_what_is_kept(target: str) -> None:
    """Also where atheris does not run: inputs that reached something new, and that crashed once."""
    check = importlib.import_module(f"tests.fuzz.{target}").check
    inputs = sorted((CORPORA / target).iterdir())
    assert inputs
    for path in inputs:
        check(path.read_bytes())


@pytest.mark.skipif(not HAS_WHEEL, reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_new_crashes(target: str, tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    runs = importlib.import_module(f"tests.fuzz.{target}").RUNS
    kept = CORPORA / target
    outcome = fuzz(target, tmp_path, (found, kept), f"-runs={runs}", "-seed=1")
    assert not outcome.crashed, outcome.output[-6000:]
    assert outcome.executions >= runs
    assert outcome.coverage


def test_the_corpora_are_small() -> None:
    assert sum(path.stat().st_size for path in CORPORA.rglob("*")) < CORPUS_BYTES_MAX


@pytest.mark.skipif(not HAS_WHEEL, reason="atheris has no wheel for this machine")
def test_a_mistake_is_found_and_its_input_kept(tmp_path: Path) -> None:
    outcome = fuzz("planted", tmp_path, (), "-runs=10000", "-seed=1")
    assert outcome.crashed
    assert "ValueError: the mistake" in outcome.output
    [crash] = tmp_path.glob("planted-crash-*")
    assert b"\x07" in crash.read_bytes()
