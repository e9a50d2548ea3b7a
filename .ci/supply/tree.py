"""What the service is made of: every distribution of its lock file, who asks for it, under which licence.

Versions and hashes come from requirements-dev.lock, which holds the extras as well; who asks for whom,
licences and sizes from the metadata of what is installed. Two platforms and several Pythons are looked at
together, as the lock file does.
"""

import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from itertools import product
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[2]
PROJECT: Final = "halo-otel"
PLATFORMS: Final = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
)
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
# What distributions without an SPDX expression in their metadata call their licence.
SPDX: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
}
# Locked for Windows alone, so there is no metadata where this runs; their own files say so.
ELSEWHERE: Final = {"colorama": "BSD-3-Clause", "tzdata": "Apache-2.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A distribution that the service or one of its extras needs.

    `size_bytes` counts the files it installs, without compiled Python, and is 0 where it is not installed.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str
    size_bytes: int
    wanted_by: tuple[str, ...]
    extras: tuple[str, ...]  # that need it; none where it is always needed


def locked(path: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name → version and SHA-256 hashes, of a lock file."""
    lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        if pinned := re.match(r"([\w.-]+)==(\S+)", line):
            hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", line)))
            found[str(canonicalize_name(pinned[1]))] = (pinned[2], hashes)
    return found


def parts(site_packages: Sequence[str] = tuple(sys.path)) -> list[Part]:
    """Every distribution of the runtime and its extras, by name.

    Raises `SystemExit` when one is not locked, not installed as it is locked, or names its licence in
    words that have no SPDX identifier here.
    """
    lock = locked(ROOT / "requirements-dev.lock")
    installed = {
        canonicalize_name(each.name): each for each in distributions(path=[*site_packages])
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    always = _reach(project["dependencies"], installed)
    by_extra = {
        extra: _reach(asked, installed) for extra, asked in project["optional-dependencies"].items()
    }
    found = []
    for name in sorted(always.keys() | {name for reached in by_extra.values() for name in reached}):
        if name not in lock:
            raise SystemExit(f"{name} is not locked: run `make lock`")
        version, hashes = lock[name]
        here = installed.get(name)
        if here is not None and here.version != version:
            raise SystemExit(f"{name} {here.version} is installed, {version} is locked: run `make`")
        wanted_by = always.get(name, set()).union(
            *(each.get(name, ()) for each in by_extra.values())
        )
        found.append(
            Part(
                name=name,
                version=version,
                hashes=hashes,
                licence=_licence(name, here),
                size_bytes=_size_bytes(here),
                wanted_by=tuple(sorted(wanted_by)),
                extras=tuple(
                    extra for extra, each in by_extra.items() if name not in always and name in each
                ),
            )
        )
    return found


def _reach(asked: Sequence[str], installed: Mapping[str, Distribution]) -> dict[str, set[str]]:
    """What requirements bring along → who asks for it."""
    found: dict[str, set[str]] = defaultdict(set)
    waiting = [(PROJECT, Requirement(text)) for text in asked]
    seen = set()
    while waiting:
        by, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found[name].add(by)
        if (name, *sorted(requirement.extras)) not in seen:
            seen.add((name, *sorted(requirement.extras)))
            waiting += [(name, each) for each in _needs(installed.get(name), requirement.extras)]
    return found


def _needs(distribution: Distribution | None, extras: set[str]) -> Iterator[Requirement]:
    """What a distribution asks for, with these extras, on any platform and Python of ours."""
    worlds = [
        {**platform, "python_version": python, "python_full_version": f"{python}.0", "extra": extra}
        for platform, python, extra in product(PLATFORMS, PYTHONS, sorted(extras) or [""])
    ]
    for text in (distribution.requires if distribution else None) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate(world) for world in worlds):
            yield requirement


def _licence(name: str, distribution: Distribution | None) -> str:
    """An SPDX expression, by PEP 639 or by what stood in metadata before it."""
    if distribution is None:
        if name not in ELSEWHERE:
            raise SystemExit(f"{name} is not installed here: write its licence into {__file__}")
        return ELSEWHERE[name]
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    said = [metadata.get("License") or "", *(metadata.get_all("Classifier") or ())]
    known = {*SPDX.values(), "Apache-2.0", "MPL-2.0", "MIT OR Apache-2.0"}
    for words in said:
        if words in known or words in SPDX:
            return SPDX.get(words, words)
    raise SystemExit(f"{name} does not tell its licence in known words: write it into {__file__}")


def _size_bytes(distribution: Distribution | None) -> int:
    files = (distribution.files if distribution else None) or ()
    return sum(file.size or 0 for file in files if file.suffix != ".pyc")
