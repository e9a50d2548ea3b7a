"""docs/dependencies.md: every locked distribution, who asks for it and what for, as it is today."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.test_locks import PROJECT, canonical, imported, locked

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
MAKE = ROOT / ".ci" / "supply" / "page.py"
# They depend on the machine: another platform, another Python.
SIZES = re.compile(r"[\d.]+ MB|\d+ %|\| [\d.–]+ \|$|Python [\d.]+ on \w+", re.MULTILINE)


def test_the_page_is_what_make_docs_writes() -> None:
    made = subprocess.run(
        [sys.executable, "-B", MAKE], capture_output=True, text=True, timeout=60, check=True
    )
    assert SIZES.sub("#", made.stdout) == SIZES.sub("#", PAGE), "run `make docs`"


def test_every_distribution_of_the_runtime_is_explained() -> None:
    rows = dict(
        re.findall(
            r"^\| ([\w-]+)(?: \(\w+\))? \| [^|]+ \| ([^|]+) \| [^|]+ \| \S+ \|$", PAGE, re.MULTILINE
        )
    )
    for name in locked("requirements.lock"):
        assert len(rows[name]) > len("the thing"), name


def test_nothing_is_asked_for_that_nobody_imports() -> None:
    providers = packages_distributions()
    used = {
        canonical(name) for package in imported("halo_otel") for name in providers.get(package, ())
    }
    asked = {canonical(each) for each in PROJECT["project"]["dependencies"]}
    used.add(
        "httptools"
    )  # through uvicorn's httptools_impl, on which the receiver's connections build
    assert asked <= used, f"take out: {', '.join(sorted(asked - used))}"
