"""Makes docs/dependencies.md: who asks for each distribution of the runtime, what for, how large it is.

page.py    prints it
"""

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

if __package__:  # `.ci/docs.py` imports it
    from supply.tree import PROJECT, Part, parts
else:
    from tree import PROJECT, Part, parts

PURPOSES: Final = Path(__file__).with_name("purposes.toml")
MEGA: Final = 1_000_000
PAGE: Final = """\
# Dependencies

Written by `make docs` from `requirements-dev.lock`, the metadata of what is installed, and
`.ci/supply/purposes.toml`. Sizes are those of Python {python} on {platform}, without compiled Python, at least 0.1.

{always_count} distributions run the service, {always_mb:.0f} MB; {direct_count} of them we ask for ourselves, because our code uses
them (tests hold us to it, both ways); the others come along. The two extras add {extra_count} more. Two make
{heavy_percent} % of the size: {heavy}. Nothing more is loaded at run time: DuckDB's extensions
stay off, and no module touches the network when it is imported (`tests/supply`).

{always}

## Extras

`llm` is for the model tier, `postgres` for a registry that several replicas share. The container image has both.

{extras}

## How it is kept

- **Locked.** `requirements.lock` holds versions and SHA-256 hashes of the runtime, `requirements-image.lock` adds
  the extras, `requirements-dev.lock` what development needs, `.ci/supply/wheel.lock` is what builds the wheel in the
  image. The image takes wheels alone, so nothing of others runs while it is built but the build backend, and holds no pip.
- **Listed.** `sbom.cdx.json` (CycloneDX 1.6) is part of every wheel, in `.dist-info/sboms/`, and written by `make sbom`.
- **Licences.** All but psycopg's are permissive, or MPL-2.0 (orjson), which is about its own files alone. psycopg's is
  LGPL-3.0: it comes with an extra and in the image, unmodified. A test holds the list of what is allowed.
- **Audited.** `make audit` asks the OSV database about everything locked and fails on a known vulnerability. Where
  that database cannot be reached it says `NOT AUDITED` and does not fail. CI also fails when a version was withdrawn
  from its index.
- **Reproducible.** Two builds of the wheel give the same bytes, in whatever directory, time zone, locale and umask,
  from a checkout or from the sdist. A test builds five.
"""


def purposes(found: Iterable[Part]) -> dict[str, str]:
    """Name → what it is for. Raises `SystemExit` when one is missing, or one is too many."""
    known: dict[str, str] = tomllib.loads(PURPOSES.read_text(encoding="utf-8"))
    if wrong := sorted(known.keys() ^ {part.name for part in found}):
        raise SystemExit(f"{PURPOSES.name} and the lock file differ: {', '.join(wrong)}")
    return known


def table(found: Iterable[Part], known: dict[str, str]) -> str:
    rows = ["| Distribution | Asked for by | What for | Licence | MB |", "|---|---|---|---|--:|"]
    for part in sorted(found, key=lambda part: (PROJECT not in part.wanted_by, part.name)):
        by = ", ".join("**us**" if name == PROJECT else name for name in part.wanted_by)
        size = f"{max(part.size_bytes / MEGA, 0.1):.1f}" if part.size_bytes else "–"
        extra = f" ({', '.join(part.extras)})" if part.extras else ""
        rows.append(f"| {part.name}{extra} | {by} | {known[part.name]} | {part.licence} | {size} |")
    return "\n".join(rows)


def markdown() -> str:
    found = parts()
    known = purposes(found)
    always = [part for part in found if not part.extras]
    size_bytes = sum(part.size_bytes for part in always)
    heavy = sorted(always, key=lambda part: -part.size_bytes)[:2]
    return PAGE.format(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        platform=sys.platform,
        always_count=len(always),
        always_mb=size_bytes / MEGA,
        direct_count=sum(PROJECT in part.wanted_by for part in always),
        extra_count=len(found) - len(always),
        heavy_percent=round(100 * sum(part.size_bytes for part in heavy) / size_bytes),
        heavy=" and ".join(f"{part.name} ({part.size_bytes / MEGA:.0f} MB)" for part in heavy),
        always=table(always, known),
        extras=table([part for part in found if part.extras], known),
    )


if __name__ == "__main__":
    sys.stdout.write(markdown())
