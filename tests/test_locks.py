"""The lock files: complete, with hashes, without addresses, and one the superset of the other."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def canonical(requirement: str) -> str:
    """The name in a requirement, as registries compare names (PEP 503)."""
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def locked(lock: str) -> dict[str, str]:
    """Name → version and hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {canonical(line): line.partition("==")[2] for line in lines}


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_is_pinned_with_hashes_and_no_address(lock: str) -> None:
    for name, rest in locked(lock).items():
        assert re.match(r"\d", rest), name
        assert "--hash=sha256:" in rest, name
    assert not re.search(r"https?:|file:|--index|--find-links", (ROOT / lock).read_text("utf-8"))


def test_the_runtime_is_part_of_development() -> None:
    runtime, development = map(locked, LOCKS)
    assert runtime.items() <= development.items()


def test_every_dependency_is_locked() -> None:
    runtime, development = map(locked, LOCKS)
    extras = [
        name for names in PROJECT["project"]["optional-dependencies"].values() for name in names
    ]
    assert {canonical(each) for each in PROJECT["project"]["dependencies"]} <= runtime.keys()
    wanted = [*PROJECT["dependency-groups"]["dev"], *extras]
    assert {canonical(each) for each in wanted} <= development.keys()


def test_the_build_generates_code_for_what_is_locked() -> None:
    """Generated code refuses an older grpcio at import."""
    [tools] = [
        each for each in PROJECT["build-system"]["requires"] if each.startswith("grpcio-tools")
    ]
    assert tools in PROJECT["dependency-groups"]["dev"]
    version = tools.partition("==")[2]
    assert f"grpcio>={version},<2" in PROJECT["project"]["dependencies"]
    assert numbers(locked(LOCKS[0])["grpcio"].split()[0]) >= numbers(version)


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
