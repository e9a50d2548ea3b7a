"""The documents tell what the code does."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.config.describe import defaults_yaml, markdown_table
from halo_otel.config.keys import KEYS, duration, size
from halo_otel.config.load import load
from halo_otel.config.sections import Journal, Window

ROOT = Path(__file__).parents[2]


def test_the_defaults_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "halo.yaml"
    path.write_text(defaults_yaml(), encoding="utf-8")
    assert load(path, {}) == load(None, {})


def test_the_defaults_file_holds_every_key_with_its_help() -> None:
    text = defaults_yaml()
    written = yaml.safe_load(text.replace("# directory:", "directory:"))
    assert set(written) == {key.path[0] for key in KEYS}
    for key in KEYS:
        assert f"{key.path[-1]}:" in text
        assert key.help, f"{key.name} has no description"
        assert f"# {key.help}" in text


def test_the_readme_holds_the_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, rest = readme.partition("<!-- configuration: begin -->\n")
    table, end, _ = rest.partition("<!-- configuration: end -->")
    assert end
    assert table.strip() == markdown_table().strip(), "run `make docs`"


def test_no_cell_breaks_the_table() -> None:
    assert {row.count("|") for row in markdown_table().splitlines()} == {5}


@given(st.integers(min_value=1000, max_value=86_400_000))
def test_a_written_duration_is_read_as_the_same(milliseconds: int) -> None:
    length = milliseconds / 1000
    assert Window(retention=duration(length)).retention == pytest.approx(length)


@given(st.integers(min_value=1 << 13, max_value=1 << 50))
def test_a_written_size_is_read_as_the_same(count: int) -> None:
    assert Journal(max_bytes=size(count)).max_bytes == count
