"""The lock files: complete, with hashes, without addresses, and one the superset of the other."""

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-image.lock", "requirements-dev.lock")
# What tests run in environments of their own, and benches.
SDKS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".ci").glob("*/*.lock"))
PROGRAMS = ROOT / "tests" / "emission" / "programs"
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


@pytest.mark.parametrize("lock", [*LOCKS, *SDKS])
def test_everything_is_pinned_with_hashes_and_no_address(lock: str) -> None:
    for name, rest in locked(lock).items():
        assert re.match(r"\d", rest), name
        assert "--hash=sha256:" in rest, name
    assert not re.search(r"https?:|file:|--index|--find-links", (ROOT / lock).read_text("utf-8"))


def test_the_runtime_is_part_of_development() -> None:
    runtime, image, development = map(locked, LOCKS)
    assert runtime.items() <= image.items() <= development.items()


def test_every_dependency_is_locked() -> None:
    runtime, image, development = map(locked, LOCKS)
    extras = [
        name for names in PROJECT["project"]["optional-dependencies"].values() for name in names
    ]
    assert {canonical(each) for each in PROJECT["project"]["dependencies"]} <= runtime.keys()
    assert {canonical(each) for each in extras} <= image.keys()
    wanted = [*PROJECT["dependency-groups"]["dev"], *extras]
    assert {canonical(each) for each in wanted} <= development.keys()


@pytest.mark.parametrize("lock", SDKS)
def test_every_sdk_is_locked(lock: str) -> None:
    lines = (ROOT / lock).with_suffix(".in").read_text(encoding="utf-8").splitlines()
    assert {canonical(line) for line in lines} <= locked(lock).keys()


def test_packages_for_node_have_hashes_and_no_address() -> None:
    for path in (ROOT / ".ci/emission").glob("*/package-lock.json"):
        packages = json.loads(path.read_bytes())["packages"]
        assert all("integrity" in package for name, package in packages.items() if name)
        assert not any("resolved" in package for package in packages.values())


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


def imported(folder: str) -> set[str]:
    """The top-level packages that the code in `folder` imports, also late."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        if path.is_relative_to(PROGRAMS):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"halo_otel", "tests"}


@pytest.mark.parametrize(("folder", "development"), [("halo_otel", False), ("tests", True)])
def test_what_is_imported_is_declared(folder: str, development: bool) -> None:
    """A package that only comes along with another one may stay away tomorrow."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    needed = [*PROJECT["project"]["dependencies"], *(name for names in extras for name in names)]
    declared = {canonical(each) for each in needed}
    if development:
        declared |= {canonical(each) for each in PROJECT["dependency-groups"]["dev"]}
    providers = packages_distributions()
    local = {path.stem for path in (ROOT / folder).rglob("*.py")}
    for package in imported(folder) - local:
        names = {canonical(name) for name in providers.get(package, [package])}
        assert names & declared, f"{package} ({', '.join(sorted(names))}) is not in pyproject.toml"
