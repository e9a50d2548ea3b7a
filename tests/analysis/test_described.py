"""The document on detectors tells what the code does, for every detector that there is."""

import re
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from halo_otel.analysis.claims import described
from halo_otel.analysis.claims.detector import Detector
from halo_otel.analysis.detectors import BY_NAME, DETECTORS
from halo_otel.config.sections import Analysis
from halo_otel.model.explained import EXPLAINED, Explanation
from halo_otel.model.finding import CATEGORIES

ROOT = Path(__file__).parents[2]
# Claims about many runs at once, made by `analysis.cohorts` and `analysis.change`.
OVER_RUNS = {"cohort", "regression", "fix"}


def test_the_document_is_up_to_date() -> None:
    text = (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")
    assert text == described.markdown(), "run `make docs`"


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_every_detector_is_explained(detector: Detector) -> None:
    assert detector.name in EXPLAINED, "say what it means in halo_otel/model/explained.py"
    assert EXPLAINED[detector.name].category == detector.category


@pytest.mark.parametrize("one", EXPLAINED.values(), ids=lambda one: one.name)
def test_every_explanation_is_of_something_and_whole(one: Explanation) -> None:
    assert one.name in BY_NAME or one.category in OVER_RUNS, "there is no such detector (any more)"
    assert one.category in CATEGORIES
    for text in (one.means, one.example, one.abstains):
        assert text == text.strip()
        assert text[-1] in ".”"
        assert "|" not in text  # a cell of the table


def test_every_detector_that_the_code_names_is_explained() -> None:
    """Findings that are made beside the detectors bear names, too."""
    named = {
        name
        for path in (ROOT / "halo_otel" / "analysis").rglob("*.py")
        for name in re.findall(r"\bdetector=\"(\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert named <= EXPLAINED.keys()


def test_the_documents_settings_are_taken() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", described.markdown(), re.DOTALL)
    settings = yaml.safe_load(block)["analysis"]
    assert Analysis.model_validate(settings).detectors.keys() <= EXPLAINED.keys()


def test_the_document_has_a_section_for_each() -> None:
    blocks = MarkdownIt("commonmark").enable("table").parse(described.markdown())
    heads = [
        blocks[i + 1].content
        for i, block in enumerate(blocks)
        if block.type == "heading_open" and block.tag == "h2"
    ]
    assert sorted(heads) == sorted(EXPLAINED)
    rows = [block for block in blocks if block.type == "tr_open"]
    assert len(rows) == len(EXPLAINED) + 1
