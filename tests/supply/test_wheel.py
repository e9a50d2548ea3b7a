"""The wheel: the same bytes whoever builds it, wherever, whenever, from the checkout or from the sdist."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (
    "halo_otel",
    "proto",
    "pyproject.toml",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "sbom.cdx.json",
)
DAY_2001_S = 1_000_000_000


def build(source: Path, to: Path, target: str, umask: int, **environ: str) -> Path:
    """The file that hatchling builds from `source`, as pip would have it do."""
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        target,
        "--directory",
        str(to),
    ]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run(
        command, cwd=source, env=kept | environ, umask=umask, check=True, capture_output=True
    )
    [made] = to.iterdir()
    return made


def checkout(source: Path, to: Path, umask: int) -> Path:
    """A copy as somebody else has it: other permissions, other times, nothing generated."""
    to.mkdir()
    for name in SOURCES:
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "_pb")
            shutil.copytree(source / name, to / name, ignore=ignored)
        else:
            shutil.copyfile(source / name, to / name)
    for path in to.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (DAY_2001_S + umask, DAY_2001_S + umask))
    return to


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("wheel")
    here = checkout(ROOT, root / "here", 0o022)
    there = checkout(here, root / "there is another place", 0o077)
    other = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    made = {
        "wheel": build(here, root / "1", "wheel", 0o022, LC_ALL="C.UTF-8", TZ="UTC"),
        "wheel elsewhere": build(there, root / "2", "wheel", 0o077, **other),
        "sdist": build(here, root / "3", "sdist", 0o022, LC_ALL="C.UTF-8", TZ="UTC"),
        "sdist elsewhere": build(there, root / "4", "sdist", 0o077, **other),
    }
    with tarfile.open(made["sdist"]) as archive:
        archive.extractall(root / "unpacked", filter="data")
    [unpacked] = (root / "unpacked").iterdir()
    return made | {"wheel of the sdist": build(unpacked, root / "5", "wheel", 0o027)}


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("other", ["wheel elsewhere", "wheel of the sdist"])
def test_every_build_of_the_wheel_is_the_same(built: dict[str, Path], other: str) -> None:
    assert digest(built[other]) == digest(built["wheel"])


def test_every_build_of_the_sdist_is_the_same(built: dict[str, Path]) -> None:
    assert digest(built["sdist elsewhere"]) == digest(built["sdist"])


def test_the_bill_of_materials_comes_with_the_wheel(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        [name] = [name for name in wheel.namelist() if ".dist-info/sboms/" in name]
        bill = json.loads(wheel.read(name))
    assert name.endswith("/sboms/sbom.cdx.json")
    assert bill == json.loads((ROOT / "sbom.cdx.json").read_bytes())


def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"halo_otel"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert any(name.startswith("halo_otel/_pb/") for name in names)
