"""Runs of the targets, each in a process of its own, and what came of them."""

import importlib
import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TARGETS: Final = (
    "otlp_protobuf",
    "otlp_json",
    "journal_frames",
    "import_files",
    "http_requests",
    "redaction",
)
ROOT: Final = Path(__file__).parents[2]
CORPORA: Final = Path(__file__).parent / "corpus"

_INPUT_BYTES_MAX: Final = 16_384
_MEMORY_MIB_MAX: Final = 1024
# On the wall, so only for what hangs; `engine` looks at the processor's time.
_HANG_S: Final = 300
_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE: Final = re.compile(r"\bcov: (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to: `coverage` is the number of branches reached; `output` tells of a crash."""

    executions: int
    coverage: int
    cpu_s: float
    crashed: bool
    output: str


def fuzz(target: str, scratch: Path, corpora: Sequence[Path], *options: str) -> Outcome:
    """Run `target`; new inputs go to the first of `corpora`, one that crashes to `scratch`."""
    command = (
        *(
            sys.executable,
            "-m",
            "tests.fuzz.engine",
            target,
            "-print_final_stats=1",
            "-verbosity=1",
        ),
        *(
            f"-max_len={_INPUT_BYTES_MAX}",
            f"-rss_limit_mb={_MEMORY_MIB_MAX}",
            f"-timeout={_HANG_S}",
        ),
        *(f"-artifact_prefix={scratch}/{target}-", *options, *map(str, corpora)),
    )
    before_s = _children_cpu_s()
    ran = subprocess.run(
        command,
        cwd=ROOT,
        # A process that libFuzzer ends tidies nothing up: its files lie in `scratch`.
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return Outcome(
        executions=_last(_EXECUTIONS, ran.stdout),
        coverage=_last(_COVERAGE, ran.stdout),
        cpu_s=_children_cpu_s() - before_s,
        crashed=ran.returncode != 0,
        output=ran.stdout,
    )


def write_seeds(target: str, directory: Path) -> Path:
    """What `target` starts from, as a corpus in `directory`."""
    directory.mkdir(parents=True)
    for number, seed in enumerate(importlib.import_module(f"tests.fuzz.{target}").seeds()):
        (directory / f"seed-{number:03}").write_bytes(seed)
    return directory


def _last(figure: re.Pattern[str], output: str) -> int:
    found = figure.findall(output)
    return int(found[-1]) if found else 0


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
