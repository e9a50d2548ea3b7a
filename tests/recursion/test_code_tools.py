"""The agents' source code as a model sees it: in pages, masked, fenced; and what becomes of a citation when
the code changes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halo_otel.codebase.tree import Codebase
from halo_otel.recursion.claims.checking import Accepted
from halo_otel.recursion.claims.claim import Verified, read
from halo_otel.recursion.claims.recalling import kept_of, recalled
from halo_otel.recursion.claims.verify import verify
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.registry import call
from tests.recursion.environments import INJECTION, bookings, environment_of
from tests.recursion.worlds import masked, true_claim

Json = dict[str, Any]
MAIL = "anna@shop.example"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("agents") / "code"
    (root / "src").mkdir(parents=True)
    lines = [f"step_{number} = {number}" for number in range(400)]
    lines[7] = f'OWNER = "{MAIL}"'
    lines[9] = f"# {INJECTION}"
    (root / "src" / "agent.py").write_text("\n".join(lines) + "\n")
    for number in range(60):
        (root / f"tool_{number:02d}.py").write_text(f"step_{number} = 1\n")
    return root


@pytest.fixture(scope="module")
def looking(root: Path) -> Iterator[Environment]:
    with environment_of(bookings().rows, masked, code=Codebase.open(root)) as environment:
        yield environment


def rows(text: str) -> list[Json]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    ("tool", "arguments", "name"),
    [
        ("code_tree", {"path": ""}, "path"),
        ("code_grep", {"pattern": r"^step_\d+ = "}, "text"),
    ],
)
def test_pages_together_are_everything(
    looking: Environment, tool: str, arguments: Json, name: str
) -> None:
    whole: list[str] = []
    cut: str | None = "more"
    while cut:
        asked = {**arguments, "offset": len(whole), "bytes_max": 2_000}
        reply = call(looking, tool, asked)
        assert len(reply.text.encode()) <= 2_000
        whole += [row[name] for row in rows(reply.text) if name in row]
        cut = reply.cut
        assert len(whole) < 1_000
    assert len(whole) == (61 if tool == "code_tree" else 398 + 60)


def test_a_file_is_read_on_where_it_was_cut(looking: Environment) -> None:
    lines: dict[int, str] = {}
    while len(lines) < 400:
        asked = {"path": "src/agent.py", "first_line": len(lines) + 1, "bytes_max": 3_000}
        before = len(lines)
        for row in rows(call(looking, "code_read", asked).text):
            if "line" in row:
                lines[row["line"]] = row["text"]
        assert len(lines) > before
    assert list(lines) == list(range(1, 401))
    assert lines[400] == "step_399 = 399"


def test_what_code_says_is_masked_and_stays_in_the_fence(looking: Environment) -> None:
    boundary = looking.fence.boundary
    for tool, arguments in (
        ("code_read", {"path": "src/agent.py"}),
        ("code_grep", {"pattern": "OWNER|Ignore"}),
    ):
        text = call(looking, tool, arguments).text
        assert MAIL not in text
        assert "OWNER" in text
        inside = text.split(f"<{boundary}>")[1].split(f"</{boundary}>")[0]
        assert text.count("Ignore all previous") == inside.count("Ignore all previous") == 1
        assert "\x1b" not in text


@pytest.mark.parametrize("edit", [None, "MOVED = 1\n", ""])
def test_a_citation_holds_again_only_while_the_line_stands(
    root: Path, looking: Environment, edit: str | None
) -> None:
    cited = {"path": "src/agent.py", "line": 3, "text": "step_2 = 2"}
    claim = read({**true_claim(looking), "code": [cited]})
    verified = verify(claim, looking)  # type: ignore[arg-type]
    assert isinstance(verified, Verified)
    kept = [kept_of(Accepted(verified=verified, category="", sure=True))]
    file = root / "src" / "agent.py"
    before = file.read_text()
    if edit is not None:
        file.write_text(edit + before.replace("step_2 = 2\n", edit))
    try:
        again = recalled(kept, looking)
    finally:
        file.write_text(before)  # others look at it too
    assert (again is not None) == (edit is None)
