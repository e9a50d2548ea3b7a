"""The house rules no linter carries: short functions, short files, one clock, one environment."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import FIRST

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "halo_otel"
CODE = sorted(
    path
    for folder in (PACKAGE, ROOT / "tests", ROOT / "proto", ROOT / ".ci")
    for path in folder.rglob("*.py")
    if "_pb" not in path.parts
)
OURS = [path for path in CODE if path.is_relative_to(PACKAGE)]
ROOMS = sorted(path for path in OURS if path.name == "__init__.py")
FUNCTION_LINES_MAX, FILE_LINES_MAX = 70, 500
# What only one file may hold, and what all others use instead.
BANNED = {
    r"\btime\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns)\(": (
        "clock.py",
        "the injected Clock",
    ),
    r"\bdatetime\.(now|utcnow|today)\(": ("clock.py", "the injected Clock"),
    r"\bos\.(environ|getenv)\b": ("config/load.py", "a field of Config"),
    r"\bduckdb\.connect\(": ("duck.py", "halo_otel.duck"),
    r"\bgetLogger\((?!__name__)": ("service/logs.py", "logging.getLogger(__name__)"),
}
# Parts of the one, so that this file does not hold what it looks for.
THIS_MACHINE = re.compile("|".join(("/wo" + "rk/", "/tmp/" + "w/", "/ro" + "ot/")))
BYTES_MAX = 1 << 20


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    assert node.end_lineno is not None
    return node.end_lineno - first.lineno + 1


@pytest.mark.parametrize("path", CODE, ids=name)
def test_files_are_short(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= FILE_LINES_MAX


@pytest.mark.parametrize("path", OURS, ids=name)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert body_lines(node) <= FUNCTION_LINES_MAX, f"{name(path)}:{node.lineno} {node.name}"


@pytest.mark.parametrize("path", OURS, ids=name)
def test_one_clock_one_environment_one_database(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for pattern, (home, instead) in BANNED.items():
        if path != PACKAGE / home:
            assert not re.search(pattern, source), f"{pattern}: use {instead}"


def test_the_homes_exist() -> None:
    """A home that moved would make its rule forbid everything, or nothing."""
    for home, _ in BANNED.values():
        assert (PACKAGE / home).exists(), home


@pytest.mark.parametrize("file", FIRST)
def test_what_is_begun_first_exists(file: str) -> None:
    assert (ROOT / "tests" / file).exists()


@pytest.mark.parametrize("path", ROOMS, ids=name)
def test_every_room_says_what_it_does(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "what does this room do, and what does it promise?"


@pytest.mark.parametrize("path", OURS, ids=name)
def test_every_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_nothing_points_at_one_machine() -> None:
    for path in tracked():
        if path.suffix not in {".gz", ".png"}:
            found = THIS_MACHINE.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not found, f"{name(path)}: {found}"


def test_nothing_large_is_tracked() -> None:
    assert not [name(path) for path in tracked() if path.stat().st_size > BYTES_MAX]


def tracked() -> list[Path]:
    """What git holds or would hold."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / path for path in listed.stdout.split("\0") if path]
    return [path for path in paths if path.is_file()]
