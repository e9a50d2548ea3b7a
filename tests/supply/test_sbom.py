"""The bill of materials: what the lock file holds, nothing less, under licences that may be shipped."""

import json
import re
import site
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.supply.conftest import Run
from tests.test_locks import locked

ROOT = Path(__file__).parents[2]
FILE = ROOT / "sbom.cdx.json"
BILL = json.loads(FILE.read_bytes())
COMPONENTS: Final[dict[str, dict[str, Any]]] = {each["name"]: each for each in BILL["components"]}
# What may be passed on beside Apache-2.0 code, as it is and unchanged. MPL-2.0 asks for the source of its
# own files alone; LGPL-3.0 also that a user may put in another version, so it is for an extra alone.
ALLOWED: Final = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0"}
ALLOWED_IN_EXTRAS: Final = {*ALLOWED, "LGPL-3.0-only"}
VALIDATE: Final = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) or "") or 0)
"""


def extras(component: dict[str, Any]) -> set[str]:
    properties = component.get("properties", [])
    return {each["value"] for each in properties if each["name"] == "halo-otel:extra"}


def licences(component: dict[str, Any]) -> set[str]:
    """Every SPDX identifier that is named, also as one of several to choose from."""
    texts = [
        each["expression"] if "expression" in each else each["license"]["id"]
        for each in component["licenses"]
    ]
    return set(re.findall(r"[\w.-]+", " ".join(texts))) - {"AND", "OR", "WITH"}


def test_it_is_what_the_lock_file_gives_today(supply: Run) -> None:
    made = supply("sbom.py", *site.getsitepackages())
    assert made.returncode == 0, made.stderr
    assert made.stdout == FILE.read_text(encoding="utf-8"), "run `make sbom`"


@pytest.mark.parametrize("broken", [False, True])
def test_it_is_cyclonedx_by_its_schema(tools: Path, broken: bool) -> None:
    bill = BILL | ({"specVersion": 6} if broken else {})
    checked = subprocess.run(
        [tools, "-c", VALIDATE],
        input=json.dumps(bill),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode != 0) == broken, checked.stderr


def test_everything_locked_for_the_runtime_is_in_it_with_its_hashes() -> None:
    always = {name for name, each in COMPONENTS.items() if each["scope"] == "required"}
    assert always == locked("requirements.lock").keys()
    everything = locked("requirements-dev.lock")
    for name, component in COMPONENTS.items():
        pinned = everything[name]
        assert component["version"] == pinned.split()[0]
        assert component["purl"] == f"pkg:pypi/{name}@{component['version']}"
        hashes = {each["content"] for each in component["hashes"]}
        assert hashes == set(re.findall(r"--hash=sha256:(\w+)", pinned)), name


def test_extras_are_optional_and_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [each for each in COMPONENTS.values() if each["scope"] == "optional"]
    assert {name for each in optional for name in extras(each)} == set(
        project["optional-dependencies"]
    )
    assert all(extras(each) for each in optional)


def test_every_component_is_asked_for_by_another() -> None:
    asks = {each["ref"]: each.get("dependsOn", []) for each in BILL["dependencies"]}
    waiting, reached = ["halo-otel"], set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += asks[name]
    assert reached == COMPONENTS.keys() | {"halo-otel"}


def test_every_licence_may_be_shipped() -> None:
    for name, component in COMPONENTS.items():
        allowed = ALLOWED_IN_EXTRAS if extras(component) else ALLOWED
        assert licences(component), name
        assert licences(component) <= allowed, name
