"""Where what `.ci/` builds outside the checkout lies: the Collector, helm, Loki, SDKs."""

import subprocess
from pathlib import Path

CI = Path(__file__).parents[1] / ".ci"


def built(what: str, *words: str) -> Path:
    """Where `.ci/WHAT/build WORDS` puts what it builds; it is there only if somebody built it."""
    command = [str(CI / what / "build"), "--path", *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(said.stdout.strip())
